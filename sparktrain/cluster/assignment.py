"""What the driver gives to all tasks of an attempt, as plain values: it is pickled to the executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow

from sparktrain.cluster.disks.kept_rows import KeptRows
from sparktrain.cluster.disks.local_disks import Spare
from sparktrain.interfaces.launch import Launch
from sparktrain.interfaces.training_spec import TrainingSpec


@dataclass(frozen=True)
class Assignment:
    """What the tasks of an attempt do.

    Attributes:
        spec: what their children train.
        launch: returns the engine's Spark side.
        layout: how rows become segments: `feed.Layout.to_json`.
        threads: the threads of each child's TensorFlow.
        spare: the space that segments leave free on each local disk.
        gpus: the GPUs of each worker.
        rows: about how many each part has; None if they were not counted.
        code: the name among Spark's files of the archive with the user's modules and files.
        files: the names of spark-submit's --files.
        warm_minutes: idle minutes of the executor's template; None: processes are started afresh.
        read: returns the rows of a part, read from the storage, by the part's number and a folder for files on their way; None:
            Spark sends the rows.
        kept: rows that stay on the executors; None: they are removed.
        omp_threads: OMP_NUM_THREADS as the user has set it (spark.executorEnv).
    """

    spec: TrainingSpec
    launch: Callable[[], Launch]
    layout: dict[str, Any]
    threads: int
    spare: Spare
    gpus: int = 0
    rows: int | None = None
    code: str | None = None
    files: tuple[str, ...] = ()
    warm_minutes: float | None = None
    read: Callable[[int, Path], Iterator[pyarrow.RecordBatch]] | None = None
    kept: KeptRows | None = None
    omp_threads: str | None = None
