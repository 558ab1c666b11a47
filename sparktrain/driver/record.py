"""What a run leaves behind: the numbers of its course, and the files of its folder."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Callable, Mapping, Sequence

from pyspark import SparkContext

from sparktrain.config import Job
from sparktrain.data import Prepared, check_writable, share_notes
from sparktrain.driver.model_source import GIVEN
from sparktrain.driver.output import KEPT, MODEL, curves, now, versions, write_json
from sparktrain.driver.parent import Parent
from sparktrain.driver.plan import held_back_by, modules_needed, uneven_notes
from sparktrain.driver.result import Result
from sparktrain.feed import label_counts
from sparktrain.interfaces.messages import Checkpointed, EpochEnd, Finished, Joined, Message, Phase
from sparktrain.storage import Folder, NotFound


class Course:
    """How a run goes, as far as its numbers need it.

    Attributes:
        seconds: of each phase of the driver, by its name.
        joined: what each part's worker said when it had its rows.
        since: when the first attempt began, in seconds since 1970.

    Args:
        workers: how many train; 0 until there are slots for them.
        copies: how many workers have each training row.
        attempts: how many were begun.
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
        self._metrics: dict[str, float] = {}   # of the last epoch
        self._moments: dict[str, float] = {}   # when each was last seen

    def begin_attempt(self) -> None:
        self.attempts += 1
        self.since = self.since or time.time()

    def again(self) -> None:
        """Another attempt begins: it takes the last one's place, but for what it doesn't do again."""
        self.joined.clear()
        self._moments.clear()
        self._epoch_seconds.clear()

    def mark(self, name: str) -> None:
        self._moments[name] = time.monotonic()

    def message(self, part: int, message: Message) -> None:
        """Take notice of what a worker told."""
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
        """Training rows, as far as the workers have told."""
        return sum(joined.training_rows for joined in list(self.joined.values())) // self.copies

    def so_far(self, run: str, job: Job) -> Result:
        """How the run would be told of now; from any thread."""
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
        """Training rows of each class, as the workers have them; None where the label has no classes.

        Args:
            labels: what the class numbers stand for; None where they are the labels.
        """
        counted = label_counts([joined.labels for joined in self.joined.values()])
        if counted is None:
            return None
        rows = {label: count // self.copies for label, count in counted}
        if labels is None:
            return rows
        return {label: rows.get(number, 0) for number, label in enumerate(labels)}

    def leader(self) -> int:
        """The part whose worker has rank 0."""
        return next(part for part, joined in self.joined.items() if joined.rank == 0)

    def summary(self, run: str, job: Job, finished: Sequence[Finished], prepared: Prepared) -> dict[str, Any]:
        """What summary.json holds of a run that has been trained.

        Args:
            finished: how each part's worker ended.
        """
        last = self._moments
        saving = last.get("save", last["end"])   # a rehearsal saves nothing
        self.seconds["fill"] = last["joined"] - last["stage"]
        self.seconds["start workers"] = last["train"] - last["joined"]
        self.seconds["train"] = saving - last["train"]
        self.seconds["save"] = last["end"] - saving
        leader = finished[self.leader()]
        chosen = leader.best_epoch if leader.best_epoch is not None else leader.epochs
        return {
            "run": run,
            "name": job.name,
            "status": "finished",
            "finished": now(),
            "rows": self.rows,
            "validation_rows": sum(joined.validation_rows for joined in self.joined.values()),
            "epochs": leader.epochs,
            "workers": len(finished),
            "engine": job.training.engine,
            "attempts": self.attempts,
            "metrics": {name: values[chosen - 1] for name, values in leader.history.items() if len(values) >= chosen},
            "rows_per_second": sum(f.rows for f in finished) / max(self.seconds["train"], 1e-9),
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
            "epoch_seconds": self._epoch_seconds,
            "wall": round(self.elapsed, 3),
            "checkpoints": self._checkpoint_costs(),
            "held_back_by": held_back_by(self.seconds),
            "steps_per_epoch": max(joined.steps for joined in self.joined.values()),
            "batch": sum(job.training.batch_sizes(len(finished))),
            "best_epoch": leader.best_epoch,
            "stopped_early": leader.stopped_early,
            "parameters": leader.parameters,
            "custom_objects": leader.custom_objects,
            "modules": modules_needed(leader.custom_objects, job.model.modules),
            "peak_memory": [f.peak_memory for f in finished],
            "disk": [self.joined[part].disk for part in range(len(finished))],
            "notes": [*prepared.notes, *self._classes_without_rows(prepared.labels), *self._uneven(job), *leader.notes],
        }

    def _checkpoint_costs(self) -> dict[str, float] | None:
        """How many were written, the size of the last, and the seconds by which all held training up."""
        if not self._checkpoints:
            return None
        held = sum(each.held for each in self._checkpoints)
        return {"written": len(self._checkpoints), "bytes": self._checkpoints[-1].bytes, "held": round(held, 3)}

    def _uneven(self, job: Job) -> list[str]:
        rows = [joined.training_rows for joined in self.joined.values()]
        notes = uneven_notes(rows)
        validation = job.data.validation
        if validation is not None and job.data.sample is None:   # of a sample it was told before the rows were taken
            notes += share_notes(validation.fraction, self.rows, sum(each.validation_rows for each in self.joined.values()))
        return notes

    def _classes_without_rows(self, labels: Sequence[Any] | None) -> list[str]:
        counts = self.class_counts(labels) or {}
        return [f"class {label} has no training rows" for label, rows in counts.items() if not rows]


def lineage(
    run: str,
    job: Job,
    prepared: Prepared,
    classes: Mapping[Any, int] | None,
    *,
    parent: Parent | None,
    code: Mapping[str, str],
    context: SparkContext,
) -> dict[str, Any]:
    """What lineage.json holds: where a model comes from.

    Args:
        run: its id, or the name of a prepared frame's folder.
        classes: rows of each class that was trained on.
        parent: the run that it goes on from.
        code: the SHA-256 of each of the user's files that were shipped.
    """
    return {
        "run": run,
        "parent": parent.url if parent is not None else None,
        "prepared": prepared.origin,
        "inputs": prepared.inputs,
        "classes_before_sampling": _by_name(prepared.counts_before if prepared.counts_before is not None else classes),
        "classes_after_sampling": _by_name(classes),
        "seed": job.seed,
        "code": code,
        "versions": {**versions(), "pyspark": context.version},   # of SPARK_HOME's, which may be another than is installed
        "user": context.sparkUser(),
        "application": context.applicationId,
    }


def _by_name(counts: Mapping[Any, int] | None) -> dict[Any, int] | None:
    """With names that JSON takes: a label may be a decimal or a date."""
    if counts is None:
        return None
    return {name if isinstance(name, (str, int, float)) else str(name): rows for name, rows in counts.items()}


def keep_fitted(folder: Folder, prepared: Prepared) -> None:
    """Put the pipeline and the classes, where there are any, beside what was made with them."""
    if prepared.pipeline is not None:
        check_writable(prepared.frame.sparkSession, folder.url, "the fitted pipeline")
        prepared.pipeline.write().overwrite().save(f"{folder.url}/pipeline")
    if prepared.labels is not None:
        write_json(folder, "classes.json", prepared.labels)


def keep_known(staged: Folder, job: Job, prepared: Prepared) -> None:
    """Write what is known before training, so that nothing of it can fail when hours of training are behind it."""
    keep_fitted(staged, prepared)
    staged.write_text("job.yaml", job.to_yaml())


class ModelMissing(RuntimeError):
    """The model that rank 0 has saved is not what the driver finds under the output."""


def check_model(staged: Folder, leader: Finished) -> None:
    """See that the model lies under the output as rank 0 wrote it.

    Raises:
        ModelMissing: there is none, or another.
        StorageError: the storage can't be read.
    """
    try:
        size, digest = staged.sha256(MODEL)
    except NotFound as error:
        raise ModelMissing(
            f"rank 0 saved a model of {leader.model_bytes:,} bytes, and the driver finds none at {staged.url}/{MODEL}: the workers' "
            "storage is not the driver's. Choose an output.path that all of the cluster's machines share, such as hdfs:///models"
        ) from error
    if (size, digest) != (leader.model_bytes, leader.model_sha256):
        raise ModelMissing(
            f"{staged.url}/{MODEL} is not what rank 0 saved: {size:,} bytes with the SHA-256 {digest}, and it wrote "
            f"{leader.model_bytes:,} bytes with {leader.model_sha256}. The storage has lost or mixed up what was written; the "
            "checkpoints are kept, so the same command with this run's id trains on from the last one"
        )


def keep(
    staged: Folder, history: Mapping[str, list[float]], origin: Mapping[str, Any], note: Callable[[str], object]
) -> None:
    """Write beside the model what is known only after training, and remove what was of use only until then.

    Args:
        staged: the folder that the run is made in.
        history: metric by epoch.
        origin: of `lineage`.
        note: told where the picture of the history can't be drawn.
    """
    write_json(staged, "history.json", history)
    try:
        picture = curves(history) if history else None
    except Exception as error:   # of matplotlib, its fonts or its cache folder: the model is worth more than a picture of it
        picture = None
        note(f"there is no history.png, as it can't be drawn: {type(error).__name__}: {error}")
    if picture is not None:
        staged.write_bytes("history.png", picture)
    write_json(staged, "lineage.json", origin)
    staged.remove(KEPT, recursive=True)
    staged.remove(GIVEN)
