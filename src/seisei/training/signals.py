"""Signals: the handler only sets a flag, which the loop reads between steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

RUN, SAVE, STOP_INTERRUPTED, STOP_TERMINATED = 0, 1, 2, 3
EXIT_CODES = {STOP_INTERRUPTED: 130, STOP_TERMINATED: 143}


def _numbers(*names: str) -> tuple[int, ...]:
    """The signals of these names that this operating system has; Windows lacks some."""
    return tuple(int(getattr(signal, name)) for name in names if hasattr(signal, name))


# A terminal that is closed hangs up: the training stops as it does when it is terminated.
STOPPING, SAVING = _numbers("SIGINT", "SIGTERM", "SIGHUP"), _numbers("SIGUSR1")


class Signals:
    """Inside, SIGINT, SIGTERM and SIGHUP ask to save and stop, SIGUSR1 to save and go on.

    A second one that asks to stop aborts. A SIGHUP that is ignored, as under ``nohup``, stays ignored.

    Arguments:
        several: whether other processes take part. When one of them dies, ``torchrun`` terminates the others at once,
            and these must first say who died and how to go on: SIGTERM is then ignored for the rest of the process,
            which ``torchrun`` kills after 30 seconds if it does not end by itself.
    """

    def __init__(self, *, several: bool = False) -> None:
        self.flag = RUN
        self.several = several
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (*STOPPING, *SAVING):
                if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torchrun = self.several and "TORCHELASTIC_RUN_ID" in os.environ
        for number, handler in self._before.items():
            lost = torchrun and number == signal.SIGTERM and isinstance(error, RuntimeError)
            signal.signal(number, signal.SIG_IGN if lost else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number in SAVING:
            self.flag = max(self.flag, SAVE)
            return
        if self.flag > SAVE:
            # Now: the newest verified checkpoint stays. A third signal finds the default, and ends even what is stuck.
            for again in self._before.keys() & set(STOPPING):
                signal.signal(again, signal.SIG_DFL)
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(EXIT_CODES[STOP_TERMINATED])
        self.flag = STOP_INTERRUPTED if number == signal.SIGINT else STOP_TERMINATED

    def take(self) -> int:
        """The flag; a request to save is forgotten once it was taken."""
        flag, self.flag = self.flag, RUN if self.flag == SAVE else self.flag
        return flag


class Asked(BaseException):
    """A signal asked to stop what cannot be saved and resumed in the middle.

    Not an `Exception`, as `KeyboardInterrupt` is none: work must not go on after it.

    Arguments:
        exit_code: what the process shall end with.
    """

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(exit_code)


class Stopping(Signals):
    """Inside, a signal that asks to stop does so at once, by raising `Asked`."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number in SAVING:
            return
        raise Asked(EXIT_CODES[STOP_INTERRUPTED if number == signal.SIGINT else STOP_TERMINATED])


def alive(pid: int) -> bool:
    """Whether a process of this machine runs; a zombie does not."""
    if os.name == "nt":
        return True  # Not known: there, sending signal 0 would end the process.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return not os.path.isdir("/proc/self")
