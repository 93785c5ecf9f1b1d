"""Signal handling: the handler only sets a flag, which the loop reads between steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

RUN, SAVE, STOP_INTERRUPTED, STOP_TERMINATED = 0, 1, 2, 3
EXIT_CODES = {STOP_INTERRUPTED: 130, STOP_TERMINATED: 143}


def _numbers(*names: str) -> tuple[int, ...]:
    """The numbers of these signals, where the operating system has them; Windows lacks some."""
    return tuple(int(getattr(signal, name)) for name in names if hasattr(signal, name))


# Closing a terminal sends SIGHUP: training stops as on SIGTERM.
STOPPING, SAVING = _numbers("SIGINT", "SIGTERM", "SIGHUP"), _numbers("SIGUSR1")


class Signals:
    """Context in which SIGINT, SIGTERM and SIGHUP request saving and stopping, SIGUSR1 saving and continuing.

    A second stop signal aborts. A SIGHUP that is ignored, as under ``nohup``, stays ignored.

    Arguments:
        several: whether the run is distributed. If a process dies, ``torchrun`` terminates the others at once, but
            these must first report which one died and how to resume: SIGTERM is then ignored for the rest of the
            process, which ``torchrun`` kills after 30 seconds if it does not exit by itself.
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
            # Abort: the newest verified checkpoint stays. A third signal hits the default handler, even if stuck.
            for again in self._before.keys() & set(STOPPING):
                signal.signal(again, signal.SIG_DFL)
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(EXIT_CODES[STOP_TERMINATED])
        self.flag = STOP_INTERRUPTED if number == signal.SIGINT else STOP_TERMINATED

    def take(self) -> int:
        """The flag; a request to save is cleared by reading it."""
        flag, self.flag = self.flag, RUN if self.flag == SAVE else self.flag
        return flag


class Asked(BaseException):
    """Raised when a signal stops work that cannot be saved and resumed midway.

    Not an `Exception`, like `KeyboardInterrupt`: it must not be caught by accident.

    Arguments:
        exit_code: the process's exit code.
    """

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(exit_code)


class Stopping(Signals):
    """Context in which a stop signal takes effect at once, by raising `Asked`."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number in SAVING:
            return
        raise Asked(EXIT_CODES[STOP_INTERRUPTED if number == signal.SIGINT else STOP_TERMINATED])


def alive(pid: int) -> bool:
    """Whether a process on this machine is running; a zombie is not."""
    if os.name == "nt":
        return True  # unknown: on Windows, sending signal 0 would end the process
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
