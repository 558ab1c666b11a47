"""Calls a run's subscribers with its events, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from sparktrain.driver.control.run_control import RunControl
from sparktrain.interfaces.events import EndEvent, EpochEvent, Event, PhaseEvent
from sparktrain.interfaces.messages import EpochEnd, Joined, Message, Progress

_log = logging.getLogger(__name__)
_END = 30.0  # seconds that the end of a run waits for subscribers that have not heard all


class RunEvents:
    """Makes a run's events of its phases and of its workers' messages, and calls the subscribers with them.

    In a thread of its own, as the messages' thread must not wait: a driver that takes no messages looks like workers that stall.

    Args:
        control: has the subscribers.
        run: the run's id.
        note: called with a message if a subscriber fails, the first time.
    """

    def __init__(self, control: RunControl, run: str, note: Callable[[str], object]) -> None:
        self._control, self._run, self._note = control, run, note
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="run-events", daemon=True)
        self._failed = False
        self._phase = ""
        self._leader: int | None = None  # the part of rank 0
        self._epochs = 0
        self._attempt = 1
        self._last = self._last_before = 0  # the highest epoch that has ended, and that of earlier attempts

    def start(self) -> None:
        """Begin to call subscribers."""
        self._thread.start()

    def phase(self, name: str) -> None:
        """Take a phase that the run has entered."""
        if name != self._phase:
            self._phase = name
            self._queue.put(PhaseEvent(self._run, name))

    def message(self, part: int, message: Message, attempt: int) -> None:
        """Take a message of a part's worker, of which one is called with at a time."""
        if attempt != self._attempt:
            self._attempt, self._last_before = attempt, self._last
        if isinstance(message, Joined) and message.rank == 0:
            self._leader = part
        elif part != self._leader:
            return
        elif isinstance(message, Progress):
            self._epochs = message.epochs
        elif isinstance(message, EpochEnd):
            again = message.epoch <= self._last_before
            self._last = max(self._last, message.epoch)
            self._queue.put(
                EpochEvent(self._run, message.epoch, self._epochs, message.seconds, dict(message.logs), attempt, again)
            )

    def end(self, status: str, reason: str | None) -> None:
        """Tell of the run's end, and wait until the subscribers have heard everything, for 30 seconds at most."""
        self._queue.put(EndEvent(self._run, status, reason))
        self._queue.put(None)
        self._thread.join(_END)
        if self._thread.is_alive():
            self._note(f"a subscriber of this run's events takes over {_END:.0f} s for one: it is not waited for any longer")

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            for subscriber in self._control.subscribers:
                try:
                    subscriber(event)
                except BaseException as error:  # sys.exit() of a user's function, too
                    _log.warning("a subscriber of run %s failed on %r", self._run, event, exc_info=True)
                    if not self._failed:
                        self._failed = True
                        self._note(
                            f"a subscriber of this run's events failed, which changes nothing for the run, and is noted once: "
                            f"{type(error).__name__}: {error}"
                        )
