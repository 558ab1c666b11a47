"""Turns signals that ask a run to end into KeyboardInterrupt, so that it ends its workers and prints its JSON line."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a scheduler's kill, a terminal that closes


def take_signals() -> None:
    """Raise KeyboardInterrupt in the main thread for each signal that asks a run to end, from now on."""
    on_stop(_stop)


def on_stop(handler: Callable[[int, object], object]) -> None:
    """Call a handler, in the main thread, for each signal that asks a run to end, from now on."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored under nohup, or a script's `&`
            signal.signal(number, handler)


def _stop(number: int, _: object) -> NoReturn:
    # A scheduler that repeats its signal, or a launcher that relays a Ctrl-C, must not interrupt the cleanup; a second Ctrl-C may.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt
