"""Schedules: functions of t, the fraction of training done."""

from __future__ import annotations


def ramp(t: float, end: float) -> float:
    """From 0 at t = 0 linearly to 1 at t = end, 1 from then on.

    Example:
        >>> ramp(0.05, 0.1), ramp(0.2, 0.1), ramp(0.0, 0.0)
        (0.5, 1.0, 1.0)
    """
    return 1.0 if t >= end else t / end
