"""Signals: the handler only sets a flag, which the loop reads between steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

RUN, SAVE, STOP_INTERRUPTED, STOP_TERMINATED = 0, 1, 2, 3
EXIT_CODES = {STOP_INTERRUPTED: 130, STOP_TERMINATED: 143}


class Signals:
    """Inside, SIGINT and SIGTERM ask to save and stop, SIGUSR1 to save and go on; a second of the first two aborts."""

    def __init__(self) -> None:
        self.flag = RUN
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.flag = max(self.flag, SAVE)
            return
        if self.flag > SAVE:
            # Now: the newest verified checkpoint stays. A third signal finds the default, and ends even what is stuck.
            for again in (signal.SIGINT, signal.SIGTERM):
                signal.signal(again, signal.SIG_DFL)
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(EXIT_CODES[STOP_TERMINATED])
        self.flag = STOP_INTERRUPTED if number == signal.SIGINT else STOP_TERMINATED

    def take(self) -> int:
        """The flag; a request to save is forgotten once it was taken."""
        flag, self.flag = self.flag, RUN if self.flag == SAVE else self.flag
        return flag
