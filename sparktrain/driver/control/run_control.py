"""The object by which a program stops a run from another thread, and subscribes to its events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sparktrain.interfaces.events import Event

Subscriber = Callable[[Event], object]


class RunStopped(RuntimeError):
    """Raised where a run was stopped at once from outside: by `RunControl.stop(now=True)`, or by `sparktrain runs stop --now`.

    The message is the reason. The run's checkpoints are kept: the same call with its `run_id` resumes it.
    """


@dataclass(frozen=True)
class StopAsked:
    """How a run was asked to stop.

    Attributes:
        now: whether to end it at once; else at the end of its epoch.
        reason: who asks, or why: what the run's notes and its JSON line say.
    """

    now: bool
    reason: str


class RunControl:
    """Stop a run from outside, and be told of its phases, epochs and end.

    Make one for each run, and pass it as `control=` to `sparktrain.train` or `sparktrain.run`. Its methods may be called from any
    thread, before the run begins, while it runs, and when it has ended.

    Example:
        >>> control = sparktrain.RunControl()                        # doctest: +SKIP
        >>> control.subscribe(lambda event: print(event))            # doctest: +SKIP
        >>> threading.Timer(3600, control.stop).start()              # doctest: +SKIP
        >>> sparktrain.train(frame, build_model, features=["flight"], label="late", control=control)   # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may call `stop` within a call of it
        self._asked: StopAsked | None = None
        self._subscribers: tuple[Subscriber, ...] = ()
        self._wake: Callable[[], object] | None = None
        self._run: str | None = None

    def stop(self, now: bool = False, reason: str = "asked by the program (RunControl.stop)") -> None:
        """Ask the run to stop, without waiting for its end; has no effect on a run that has ended.

        Args:
            now: False: all workers end training after their current epoch (after the first, if none has begun), and the run
                finishes with the model of then. True: everything is ended within seconds, and the run ends as stopped, without a
                model; its checkpoints are kept, and the call that runs it raises RunStopped. True after False ends it at once.
            reason: who asks, or why: the run's notes, or its JSON line, say it.
        """
        with self._lock:
            if self._asked is not None and (self._asked.now or not now):
                return
            self._asked, wake = StopAsked(now, reason), self._wake
        if wake is not None:
            wake()

    def subscribe(self, function: Subscriber) -> None:
        """Have a function called with each further event of the run, until its EndEvent.

        Calls are made one at a time, in the order of the events, from a thread of their own: a function that takes long delays
        further events and not the run, whose end waits for it for 30 seconds. What it raises is noted once, and ignored.

        Args:
            function: is called with a PhaseEvent, an EpochEvent or an EndEvent (`sparktrain.interfaces`).
        """
        with self._lock:
            self._subscribers = (*self._subscribers, function)

    @property
    def asked(self) -> StopAsked | None:
        """How the run was asked to stop; None if it wasn't."""
        return self._asked

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """The functions to call with each event."""
        return self._subscribers

    def follow(self, run: str, wake: Callable[[], object]) -> None:
        """Be told by a call of `wake` when `asked` has changed. The run that is controlled calls this, once.

        Raises:
            ValueError: the control was another run's.
        """
        with self._lock:
            if self._run is not None:
                raise ValueError(f"this RunControl was of run {self._run}, and run {run} needs one of its own: make a new one")
            self._run, self._wake = run, wake
            asked = self._asked is not None
        if asked:
            wake()

    def leave(self) -> None:
        """End the calls of `wake`, as the run has ended."""
        with self._lock:
            self._wake = None
