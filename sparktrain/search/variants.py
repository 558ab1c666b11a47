"""The prepared rows of a search: once for all trials that share them, and once for each variant of what changes them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

from sparktrain.config import Job
from sparktrain.data import Prepared
from sparktrain.display.console import RunDisplay

_NOT_ROWS = ("keep",)


def variant_of(job: Job) -> str:
    """Return a name for the rows that a job trains on: two jobs of the same name have the same rows."""
    data = {name: value for name, value in job.data.model_dump(mode="json").items() if name not in _NOT_ROWS}
    # Whether the classes are counted, and the classes and the pipeline of the run that the model is loaded from, matter, too
    identity: list[Any] = [data, job.seed, job.model.load, job.training.split]
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Variants:
    """The prepared rows of all variants. A variant is prepared by the first trial that needs it, while others wait for it.

    Args:
        prepare: returns the prepared rows of a job; called once for each variant, with its name and a display.
    """

    def __init__(self, prepare: Callable[[Job, str, RunDisplay], Prepared]) -> None:
        self._prepare = prepare
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._rows: dict[str, Prepared] = {}

    def of(self, job: Job, display: RunDisplay) -> Prepared:
        """Return the rows that a job trains on, for one run.

        Args:
            display: shows the preparation, where this is the first trial that needs them.

        Raises:
            ConfigError, InputError, StageFailed: they can't be prepared; the next trial that needs them tries again.
        """
        name = variant_of(job)
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._rows:
                self._rows[name] = self._prepare(job, name, display)
            return self._rows[name].borrowed()

    def release(self) -> None:
        """Free the rows of all variants."""
        for prepared in self._rows.values():
            prepared.release()
