"""The trials of a search at work: each thread trains one after the other, and those that do badly are ended at epoch ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from sparktrain.config import Search
from sparktrain.driver.control.run_control import RunControl, RunStopped
from sparktrain.interfaces.events import EpochEvent, Event
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.proposals import Proposals
from sparktrain.search.search_folder import SearchFolder
from sparktrain.search.stopping import why_stop
from sparktrain.search.trial_run import TrialRuns
from sparktrain.search.trials import best, new_trial, write_trial
from sparktrain.search.working_threads import work_together


class TrialThreads:
    """Trains the trials of a search, several at the same time.

    Args:
        runs: trains one trial.
        proposals: chooses the values of trials.
        folder: the search's folder, used by one thread at a time.
        trials: the trials that there are; those that were at work when their driver was killed are resumed.
        total: how many trials there are to be.
        on_end: called as each trial ends, with its record and whether it is the best so far.
    """

    def __init__(
        self,
        runs: TrialRuns,
        proposals: Proposals,
        folder: SearchFolder,
        trials: Sequence[TrialRecord],
        total: int,
        on_end: Callable[[TrialRecord, bool], object],
    ) -> None:
        self._runs, self._proposals, self._folder, self._total, self._on_end = runs, proposals, folder, total, on_end
        self._search: Search = runs.search
        self._begun = time.monotonic()
        self._lock = threading.RLock()  # of all below
        self._trials = {trial.number: trial for trial in trials}
        self._values = {trial.number: dict(enumerate(trial.values, start=1)) for trial in trials}
        self._resumed = [trial for trial in trials if trial.state == "running"]
        self._at_work: dict[int, RunControl] = {}
        self._closed = False  # whether no further trial begins
        self._stopped: str | None = None  # why all trials were stopped at once
        self._error: BaseException | None = None

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, by their numbers."""
        with self._lock:
            return sorted(self._trials.values(), key=lambda trial: trial.number)

    @property
    def left(self) -> int:
        """How many trials are left to train."""
        with self._lock:
            return len(self._resumed) + max(0, self._total - len(self._trials))

    def run(self, check: Callable[[], object]) -> None:
        """Train the trials that are left.

        Args:
            check: called again and again; what it raises ends all trials.

        Raises:
            RunStopped: the search was stopped at once.
            MetricMissing, ClusterRefused, EngineRefused, NoSlots: every trial would fail in the same way.
        """

        def look() -> None:
            check()
            if self._error is not None:
                raise self._error
            if self._late() and not self._closed:
                self.stop(False, f"the search's time_limit of {self._search.time_limit:g} minutes is over")

        count = min(self._search.parallel, self.left)
        work_together(self._work, count, "trials", look, lambda: self.stop(True, "the search has ended"))
        if self._error is not None:
            raise self._error
        if self._stopped is not None:
            raise RunStopped(f"stopped from outside: {self._stopped}")

    def stop(self, now: bool, reason: str) -> None:
        """Begin no further trial, and end those at work: at their epoch's end, or at once. From any thread."""
        with self._lock:
            self._closed = True
            if now and self._stopped is None:
                self._stopped = reason
            controls = list(self._at_work.values())
        for control in controls:
            control.stop(now=now, reason=reason)

    def _late(self) -> bool:
        limit = self._search.time_limit
        return limit is not None and time.monotonic() - self._begun > 60 * limit

    def _work(self) -> None:
        """Train one trial after the other, until there are enough."""
        try:
            while (taken := self._take()) is not None:
                trial, control = taken
                try:
                    ended = self._runs.train(trial, control, lambda: self._stopped is not None)
                finally:
                    with self._lock:
                        del self._at_work[trial.number]
                self._note_end(ended)
        except BaseException as error:
            with self._lock:
                if self._stopped is None:
                    self._error = self._error or error

    def _take(self) -> tuple[TrialRecord, RunControl] | None:
        """Return a trial to train, which is recorded, and its control; None if there are enough."""
        with self._lock:
            if self._closed or self._error is not None:
                return None
            if self._resumed:
                trial = self._resumed.pop(0)
            elif len(self._trials) < self._total:
                trial = new_trial(*self._proposals.next(list(self._trials.values())))
                write_trial(self._folder.place, trial)
            else:
                return None
            control = RunControl()
            control.subscribe(lambda event: self._note_epoch(trial.number, control, event))
            self._trials[trial.number], self._at_work[trial.number] = trial, control
            return trial, control

    def _note_epoch(self, number: int, control: RunControl, event: Event) -> None:
        """Take note of a trial's epoch, and end the trial if it does badly."""
        metric = self._search.goal.metric
        if not isinstance(event, EpochEvent) or metric not in event.metrics:
            return
        with self._lock:
            mine = self._values.setdefault(number, {})
            mine[event.epoch] = event.metrics[metric]
            others = [dict(values) for other, values in self._values.items() if other != number]
            reason = why_stop(self._search.stop, self._search.goal.mode, event.epoch, mine, others)
        if reason is not None and event.epoch < event.epochs:
            control.stop(reason=reason)

    def _note_end(self, trial: TrialRecord) -> None:
        with self._lock:
            self._folder.check()
            write_trial(self._folder.place, trial)
            self._trials[trial.number] = trial
            if trial.values:  # of one that failed, only what its events had is known
                self._values[trial.number] = dict(enumerate(trial.values, start=1))
            self._proposals.ended(trial)
            leads = best(list(self._trials.values()), self._search.goal.mode) is trial
        self._on_end(trial, leads)
