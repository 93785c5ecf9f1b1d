"""Schedules as functions of t, the fraction of training done."""

from __future__ import annotations


def ramp(t: float, end: float) -> float:
    """Linear warm-up from 0 at t = 0 to 1 at t = end, then constant.

    Example:
        >>> ramp(0.05, 0.1), ramp(0.2, 0.1), ramp(0.0, 0.0)
        (0.5, 1.0, 1.0)
    """
    return 1.0 if t >= end else t / end
