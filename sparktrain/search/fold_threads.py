"""The folds of a cross-validation at work: threads that train one model after the other, and end together if one fails."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sparktrain.driver.control.run_control import RunControl, RunStopped
from sparktrain.runs.result import Result
from sparktrain.search.working_threads import work_together


class FoldThreads:
    """Trains a model for each fold, some at the same time.

    Args:
        total: the number of folds.
        parallel: how many models train at the same time.
        train: trains a fold's model, and returns its result; called with the fold's number and its run's control.
    """

    def __init__(self, total: int, parallel: int, train: Callable[[int, RunControl], Result]) -> None:
        self.total, self._parallel, self._train = total, parallel, train
        self._lock = threading.RLock()  # of all below
        self._next = 0
        self._results: dict[int, Result] = {}
        self._at_work: dict[int, RunControl] = {}
        self._stopped: str | None = None  # why no further fold begins
        self._error: BaseException | None = None

    @property
    def finished(self) -> int:
        """How many folds have a model."""
        with self._lock:
            return len(self._results)

    def run(self, check: Callable[[], object]) -> list[Result]:
        """Train all folds, and return the results of their runs, in the order of the folds.

        Args:
            check: called again and again; what it raises ends all runs.

        Raises:
            RunStopped: it was stopped from outside before every fold had its model.
            Exception: the first error by which a fold's run has ended; the others were ended, too.
        """

        def look() -> None:
            check()
            if self._error is not None:
                raise self._error

        count = min(self._parallel, self.total)
        work_together(self._work, count, "folds", look, lambda: self.stop(True, "the cross-validation has ended"))
        if self._error is not None:
            raise self._error
        if len(self._results) < self.total:
            raise RunStopped(f"stopped from outside: {self._stopped}; {len(self._results)} of {self.total} folds have a model")
        return [self._results[number] for number in range(self.total)]

    def stop(self, now: bool, reason: str) -> None:
        """Begin no further fold; with `now`, end those at work, too. From any thread."""
        with self._lock:
            self._stopped = self._stopped or reason
            controls = list(self._at_work.values()) if now else []
        for control in controls:
            control.stop(now=True, reason=reason)

    def _work(self) -> None:
        """Train one fold after the other, until there is none left."""
        while (taken := self._take()) is not None:
            number, control = taken
            try:
                result = self._train(number, control)
            except BaseException as error:  # raised by `run`
                with self._lock:
                    self._error = self._error or error
                return
            finally:
                with self._lock:
                    del self._at_work[number]
            with self._lock:
                self._results[number] = result

    def _take(self) -> tuple[int, RunControl] | None:
        with self._lock:
            if self._stopped is not None or self._error is not None or self._next == self.total:
                return None
            number, control = self._next, RunControl()
            self._next += 1
            self._at_work[number] = control
            return number, control
