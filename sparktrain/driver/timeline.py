"""Collects timings and counters from a run's messages and makes its summary from them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sparktrain.config import Job
from sparktrain.data import Prepared, share_notes
from sparktrain.feed import label_counts
from sparktrain.interfaces.messages import Checkpointed, EpochEnd, Finished, Joined, Message, Phase
from sparktrain.runs.json_text import now
from sparktrain.runs.records.run import Summary
from sparktrain.runs.result import Result
from sparktrain.usercode.modules import modules_needed


class RunTimeline:
    """Timings and counters collected from a run's messages.

    Attributes:
        workers: the number of workers; 0 until there are slots for them.
        copies: how many workers have each training row.
        attempts: how many attempts were begun.
        since: when the first attempt began, in seconds since 1970.
        seconds: the seconds of each phase of the driver, by its name.
        joined: the message of each part's worker that had all its rows.
    """

    def __init__(self) -> None:
        self.workers = 0
        self.copies = 1
        self.attempts = 0
        self.since = 0.0
        self._checkpoints: list[Checkpointed] = []
        self.seconds: dict[str, float] = defaultdict(float)
        self.joined: dict[int, Joined] = {}
        self._started = time.monotonic()
        self._epoch_seconds: list[float] = []
        self._metrics: dict[str, float] = {}  # of the last epoch
        self._moments: dict[str, float] = {}  # when each event last occurred

    def begin_attempt(self) -> None:
        """Count an attempt, and note the time of the first."""
        self.attempts += 1
        self.since = self.since or time.time()

    def fill_again(self) -> None:
        """Take back the count of an attempt that found rows missing, which is no failure."""
        self.attempts -= 1
        self.again()

    def again(self) -> None:
        """Discard the messages and times of the last attempt, and keep those of steps that aren't repeated (the preparation)."""
        self.joined.clear()
        self._moments.clear()
        self._epoch_seconds.clear()

    def mark(self, name: str) -> None:
        """Record that an event occurs now."""
        self._moments[name] = time.monotonic()

    def message(self, part: int, message: Message) -> None:
        """Record a message of a part's worker."""
        if isinstance(message, Joined):
            self.joined[part] = message
            self.mark("joined")
        elif isinstance(message, EpochEnd) and self.joined[part].rank == 0:
            self._epoch_seconds.append(round(message.seconds, 3))
            self._metrics = message.logs
        elif isinstance(message, Checkpointed):
            self._checkpoints.append(message)
        elif isinstance(message, Phase):
            self.mark(message.name)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    @property
    def rows(self) -> int:
        """Training rows of the workers that have joined so far."""
        return sum(joined.training_rows for joined in list(self.joined.values())) // self.copies

    def so_far(self, run: str, job: Job) -> Result:
        """Return the result so far, with status running; may be called from any thread."""
        return Result(
            run=run,
            status="running",
            rows=self.rows,
            epochs=len(self._epoch_seconds),
            workers=self.workers,
            engine=job.training.engine,
            attempts=self.attempts,
            seconds=self.elapsed,
            metrics=self._metrics,
        )

    def class_counts(self, labels: Sequence[Any] | None) -> dict[Any, int] | None:
        """Return the training rows of each class, as the workers counted them; None if the label has no classes.

        Args:
            labels: the classes by their numbers; None if the labels are the numbers themselves.
        """
        counted = label_counts([joined.labels for joined in self.joined.values()])
        if counted is None:
            return None
        rows = {label: count // self.copies for label, count in counted}
        if labels is None:
            return rows
        return {label: rows.get(number, 0) for number, label in enumerate(labels)}

    def leader(self) -> int:
        """Return the part whose worker has rank 0."""
        return next(part for part, joined in self.joined.items() if joined.rank == 0)

    def summary(self, run: str, job: Job, finished: Sequence[Finished], prepared: Prepared) -> Summary:
        """Return the summary of a run that has been trained.

        Args:
            finished: each worker's last message, by part.
        """
        last = self._moments
        saving = last.get("save", last["end"])  # a rehearsal saves nothing
        self.seconds["fill"] = last["joined"] - last["stage"]
        self.seconds["start workers"] = last["train"] - last["joined"]
        self.seconds["train"] = saving - last["train"]
        self.seconds["save"] = last["end"] - saving
        leader = finished[self.leader()]
        chosen = leader.best_epoch if leader.best_epoch is not None else leader.epochs
        return Summary(
            run=run,
            name=job.name,
            status="finished",
            finished=now(),
            rows=self.rows,
            validation_rows=sum(joined.validation_rows for joined in self.joined.values()),
            epochs=leader.epochs,
            workers=len(finished),
            engine=job.training.engine,
            attempts=self.attempts,
            metrics={name: values[chosen - 1] for name, values in leader.history.items() if len(values) >= chosen},
            rows_per_second=sum(f.rows for f in finished) / max(self.seconds["train"], 1e-9),
            seconds={name: round(seconds, 3) for name, seconds in self.seconds.items()},
            epoch_seconds=self._epoch_seconds,
            wall=round(self.elapsed, 3),
            checkpoints=self._checkpoint_costs(),
            held_back_by=held_back_by(self.seconds),
            steps_per_epoch=max(joined.steps for joined in self.joined.values()),
            batch=sum(job.training.batch_sizes(len(finished))),
            best_epoch=leader.best_epoch,
            stopped_early=leader.stopped_early,
            parameters=leader.parameters,
            custom_objects=leader.custom_objects,
            modules=modules_needed(leader.custom_objects, job.model.modules),
            peak_memory=[f.peak_memory for f in finished],
            disk=[self.joined[part].disk for part in range(len(finished))],
            notes=[*prepared.notes, *self._classes_without_rows(prepared.labels), *self._uneven(job), *leader.notes],
        )

    def _checkpoint_costs(self) -> dict[str, int | float] | None:
        """Return how many checkpoints were written, the bytes of the last, and the seconds that training waited for all."""
        if not self._checkpoints:
            return None
        held = sum(each.held for each in self._checkpoints)
        return {"written": len(self._checkpoints), "bytes": self._checkpoints[-1].bytes, "held": round(held, 3)}

    def _uneven(self, job: Job) -> list[str]:
        rows = [joined.training_rows for joined in self.joined.values()]
        notes = uneven_notes(rows)
        validation = job.data.validation
        if validation is not None and job.data.sample is None:  # for a sample this was noted before sampling
            notes += share_notes(validation.share, self.rows, sum(each.validation_rows for each in self.joined.values()))
        return notes

    def _classes_without_rows(self, labels: Sequence[Any] | None) -> list[str]:
        counts = self.class_counts(labels) or {}
        return [f"class {label} has no training rows" for label, rows in counts.items() if not rows]


def uneven_notes(rows: Sequence[int]) -> list[str]:
    """Return a note if one worker has over 1.3 times the mean number of training rows: the others wait for it in every epoch.

    Args:
        rows: training rows of each worker.

    Returns:
        No or one note.
    """
    mean = sum(rows) / len(rows)
    if max(rows) <= 1.3 * mean:
        return []
    return [
        f"the workers' training rows are uneven: the largest has {max(rows):,}, {max(rows) / mean:.2f} times the mean of "
        f"{mean:,.0f}, and an epoch takes as many steps as its rows do"
    ]


_MEANING = {
    "slots": "waiting for executors",
    "prepare": "Spark's preparation of the rows: more executors, or fewer columns",
    "fill": "reading, shuffling and writing the segments: more executors, or a smaller sample",
    "start workers": "starting the workers",
    "train": "training itself: more workers, a larger batch, or GPUs",
    "save": "saving to the storage",
}


def held_back_by(seconds: Mapping[str, float]) -> str:
    """Return a phrase for the longest phase, with its share of all seconds."""
    phase = max(seconds, key=lambda name: seconds[name])
    whole = sum(seconds.values())
    return f"{_MEANING[phase]} ({seconds[phase] / whole if whole else 0:.0%} of {whole:.0f} s)"
