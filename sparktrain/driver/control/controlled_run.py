"""A run as its control acts on it: passes on a stop to what the run does just now, and events to those who subscribed."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from py4j.protocol import Py4JError
from pyspark import SparkContext

from sparktrain.cluster.stage import Attempt
from sparktrain.display.console import RunDisplay
from sparktrain.driver.control.run_control import RunControl, RunStopped
from sparktrain.driver.control.run_events import RunEvents
from sparktrain.interfaces.messages import Message
from sparktrain.runs.records.run import Stop

_AGAIN = 0.5  # seconds between two cancellations of a run's Spark jobs, as its code may begin further ones


class ControlledRun:
    """A context manager, entered in the run's thread, in which the run can be stopped.

    A stop at once reaches the run where it waits: a `pause` or a `check` raises RunStopped, Spark's jobs of this run are cancelled
    (they have a tag of its own), and an attempt ends its workers. What the run's code then raises becomes RunStopped (`converted`).

    Args:
        control: the program's control; one of its own if None, for requests from elsewhere.
        run: the run's id.
        context: the application's context.
        display: shows notes, and knows the phases.
        ending: returns the status and the reason that a run has which an exception, or None, ends.
        has_epochs: whether the run trains, so that it can be stopped at an epoch's end.
    """

    def __init__(
        self,
        control: RunControl | None,
        run: str,
        context: SparkContext,
        display: RunDisplay,
        ending: Callable[[BaseException | None], tuple[str, str | None]],
        has_epochs: bool = True,
    ) -> None:
        self._control = control or RunControl()
        self._run, self._context, self._display, self._ending = run, context, display, ending
        self._has_epochs = has_epochs
        self._tag = f"sparktrain-run-{run}-{secrets.token_hex(4)}"
        self._events = RunEvents(self._control, run, display.note)
        self._lock = threading.RLock()
        self._actions: list[Callable[[], object]] = []  # for a stop at once, besides the cancellation of jobs
        self._attempt: Attempt | None = None
        self._now, self._over = threading.Event(), threading.Event()
        self._noted: set[bool] = set()

    def __enter__(self) -> ControlledRun:
        """Begin to follow the control.

        Raises:
            ValueError: it was another run's.
        """
        self._control.follow(self._run, self._hear)
        self._events.start()
        self._display.progress.on_phase = self._events.phase
        self._context.addJobTag(self._tag)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._over.set()
        self._control.leave()
        with contextlib.suppress(Py4JError):  # the JVM is gone
            self._context.removeJobTag(self._tag)
        self._display.progress.on_phase = lambda phase: None
        self._events.end(*self._ending(error))

    def message(self, part: int, message: Message, attempt: int) -> None:
        """Pass on a message of a part's worker to the subscribers."""
        self._events.message(part, message, attempt)

    def request(self, request: Stop) -> None:
        """Stop the run as a request says that was left in its folder."""
        if not request.now and not self._has_epochs:
            self._display.note(
                f"{request.user} on {request.host} asked to stop at the end of an epoch ({request.command}), but there are no epochs here: "
                "this continues. With --now it ends at once"
            )
            return
        self._control.stop(request.now, request.reason)

    def check(self) -> None:
        """Raise RunStopped if the run was asked to stop at once."""
        if self._now.is_set():
            raise RunStopped(self._reason())

    def pause(self, seconds: float) -> None:
        """Wait for some seconds, or raise RunStopped as soon as the run is asked to stop at once."""
        self._now.wait(seconds)
        self.check()

    @contextmanager
    def interrupting(self, action: Callable[[], object]) -> Iterator[None]:
        """Within the context, a stop at once calls an action, from another thread, that ends what the run waits for there."""
        with self._lock:
            self._actions.append(action)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._actions.remove(action)

    @contextmanager
    def attempting(self, attempt: Attempt) -> Iterator[None]:
        """Within the context, pass on a stop to an attempt, also one that was asked before."""
        with self._lock:
            self._attempt = attempt
        try:
            self._hear()
            yield
        finally:
            with self._lock:
                self._attempt = None

    @contextmanager
    def converted(self) -> Iterator[None]:
        """Raise RunStopped in place of what the end of a stopped run raises within the context, such as Spark's cancelled job.

        An interrupt cancels the run's Spark jobs: Python stops waiting for them, and Spark would go on.
        """
        try:
            yield
        except RunStopped:
            raise
        except KeyboardInterrupt:
            with contextlib.suppress(Py4JError):  # a terminal's Ctrl-C ends the JVM, too
                self._context.cancelJobsWithTag(self._tag)
            raise
        except Exception as error:
            if self._now.is_set():
                raise RunStopped(self._reason()) from error
            raise
        finally:
            self._over.set()

    def _reason(self) -> str:
        asked = self._control.asked
        return f"stopped from outside: {asked.reason if asked is not None else 'nobody says why'}"

    def _hear(self) -> None:
        """Act on what the control has been asked, from any thread; again for each attempt."""
        asked = self._control.asked
        if asked is None:
            return
        if asked.now:
            self._now.set()  # before the actions are looked at: whoever adds one looks at this afterwards
        with self._lock:
            first = asked.now not in self._noted
            self._noted.add(asked.now)
            attempt, actions = self._attempt, tuple(self._actions)
        if first:
            self._display.note(f"stopping {'at once' if asked.now else 'at the end of the epoch'}: {asked.reason}")
        if not asked.now:
            if attempt is not None:
                attempt.end_epoch(asked.reason)
            return
        if attempt is not None:
            attempt.stop(asked.reason)
        for action in actions:
            action()
        if first:
            threading.Thread(target=self._cancel_jobs, name="cancel-jobs", daemon=True).start()

    def _cancel_jobs(self) -> None:
        """Cancel the run's Spark jobs until none can begin any more; an attempt cancels its own, once its tasks had time to end."""
        while True:
            with self._lock:
                attempting = self._attempt is not None
            if not attempting:
                try:
                    self._context.cancelJobsWithTag(self._tag)
                except Py4JError:
                    return  # the JVM is gone
            if self._over.wait(_AGAIN):
                return
