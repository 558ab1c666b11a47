"""Signals that ask a run to end, raised as KeyboardInterrupt so that its workers end and it says how it ended."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a scheduler's kill, a terminal that closes


def take_signals() -> None:
    """From now on raise KeyboardInterrupt in the main thread for each signal that is to end a run."""
    on_stop(_stop)


def on_stop(handler: Callable[[int, object], object]) -> None:
    """From now on call a handler, in the main thread, for each signal that is to end a run."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a script's `&`
            signal.signal(number, handler)


def _stop(number: int, _: object) -> NoReturn:
    # A scheduler that repeats itself, or a launcher that relays a Ctrl-C, doesn't cut the ending short. A second Ctrl-C
    # does.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt
