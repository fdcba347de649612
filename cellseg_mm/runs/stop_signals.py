"""Ctrl-C and SIGTERM as exceptions that unwind the stack once, at a place where that is safe."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from cellseg_mm.files.unfinished import output_is_open, step_is_open

_AGAIN = 0.1  # seconds
_PATIENCE = 3.0  # seconds
_WORDS = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated"}


class Terminated(BaseException):
    """SIGTERM as an exception.

    Unlike SystemExit it is caught by the program: an exception that is never caught keeps the
    stack, and with it an unfinished output's generator, alive until the interpreter is gone.
    """


class StopSignals:
    """Handlers of SIGINT and SIGTERM, and what they noted.

    They raise KeyboardInterrupt and :class:`Terminated`. An exception that is raised anywhere can
    be lost: extension modules turn it into another one, ``__del__`` and careless ``except`` clauses
    drop it. So what counts is :attr:`noted`, and the exception is raised again until it unwinds the
    stack. An import is not interrupted, for it leaves halves of modules that fail later: while
    nothing is being written the process ends there at once, else when the import is over.

    Args:
        more: Gives what is said beside the fact of a stop.

    Attributes:
        noted: The signal that came; None if none did.
    """

    def __init__(self, more: Callable[[], str]) -> None:
        self.noted: signal.Signals | None = None
        self._more = more
        self._pid, self._since, self._over = 0, 0.0, False
        self._before: dict[signal.Signals, Any] = {}
        self._unraisable = sys.unraisablehook

    def install(self) -> None:
        """Take the signals over."""
        self._pid, self.noted = os.getpid(), None
        self._before = {signal.SIGALRM: signal.signal(signal.SIGALRM, self._raise)}
        for number in _WORDS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                self._before[number] = signal.signal(number, self._stop)

    def end(self) -> None:
        """Raise no more: the work is over, or given up."""
        self._over = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def remove(self) -> None:
        """Give the signals back; Ctrl-C ends what is left of the program without a traceback."""
        for number, handler in self._before.items():
            default = handler is signal.default_int_handler or handler is None
            signal.signal(number, signal.SIG_DFL if default else handler)
        if self.noted is not None:
            sys.unraisablehook = self._unraisable
            _tell_errors_of_logging(True)

    def sentence(self) -> str:
        """What is said of the stop."""
        assert self.noted is not None
        more = self._more()
        return f"\n{_WORDS[self.noted]}{f': {more}' if more else '.'}\n"

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            os._exit(128 + number)  # a forked worker has nothing to say, nor to clean up
        if self.noted is None and not self._over:
            self.noted, self._since = signal.Signals(number), time.monotonic()
            # A lost exception is raised again, and is no error to be told of.
            self._unraisable, sys.unraisablehook = sys.unraisablehook, lambda _: None
            _tell_errors_of_logging(False)
        elif not self._over and time.monotonic() - self._since > _PATIENCE:
            self._end_now()  # whoever asks twice does not want to wait for a clean end
        self._raise(number, frame)

    def _raise(self, _: int, frame: FrameType | None) -> None:
        if self.noted is None or self._over:
            return
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        if step_is_open() or _unwinds(sys.exception()):
            return
        if _imports(frame):
            if not output_is_open():
                self._end_now()
            return
        raise KeyboardInterrupt if self.noted == signal.SIGINT else Terminated

    def _end_now(self) -> NoReturn:
        assert self.noted is not None
        try:
            os.write(2, self.sentence().encode())
        finally:
            os._exit(128 + self.noted)


def _tell_errors_of_logging(wanted: bool) -> None:
    if logging := sys.modules.get("logging"):  # not imported for it, which takes time
        logging.raiseExceptions = wanted  # type: ignore[attr-defined]


def _unwinds(error: BaseException | None) -> bool:
    """Whether the stop is on its way up, so that what runs now cleans up."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt | Terminated):
            return True
        error = error.__cause__ or error.__context__
    return False


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
