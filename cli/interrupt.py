"""Ctrl-C, a terminal that is closed, or a termination signal as a request, for commands that save before they stop."""

import signal
from typing import Any


def ending() -> list[signal.Signals]:
    """The signals that ask a command to end: SIGHUP, of a terminal that is closed, where it is not ignored (nohup)."""
    hangs_up = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]


class Interrupt:
    """Turns the first of these signals into a request; a second one stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        for number in ending():
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
