"""Measures how fast rows get from Spark to the workers' disks, and from there into batches, without training."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pyarrow
from pyspark import BarrierTaskContext
from pyspark.sql import SparkSession

from sparktrain import feed
from sparktrain.cluster.executors.slots import Slots
from sparktrain.config import Job
from sparktrain.data import deal, pack, prepare
from sparktrain.driver.attempts.worker_spec import layout

_WIDTH = 256  # floats in a row
_ROW_BYTES = 4 * _WIDTH
_BATCH = 64
_STEP = 4096  # rows of a generated Arrow batch
_SEED = 7
_RESULT = "rows bigint, reading double"


def measure(spark: SparkSession, slots: Slots, workers: int, megabytes: int) -> dict[str, Any]:
    """Measure the speeds of filling and reading, over generated rows.

    It is done twice, and the second time counts: in the first the JVM still compiles its code.

    Args:
        slots: the application's slots.
        workers: the number of workers.
        megabytes: size of all rows together in MB.

    Returns:
        megabytes: size of the rows in MB; filling: MB/s of all workers together, with hash, shuffle and sort; reading: MB/s of
        each worker; rows: the rows of each worker.
    """
    rows = math.ceil(megabytes * 1e6 / _ROW_BYTES / workers)
    generated = spark.range(0, workers, 1, workers).mapInArrow(partial(_rows, rows), "x array<float>, y int").persist()
    try:
        generated.count()
        job = Job.from_mapping({"data": {"features": ["x"], "label": "y", "keep": "none"}})
        prepared = prepare(spark, job.data, seed=_SEED, frame=generated)
        dealt, sent = pack(deal(prepared.frame, workers, _SEED))
        fill = _FillAndRead(layout(job.data, None, sent))
        for _ in range(2):
            begun = time.perf_counter()
            parts = dealt.mapInArrow(fill, _RESULT, barrier=True, profile=slots.profile(slots.gpus)).collect()
            wall = time.perf_counter() - begun
        prepared.release()
    finally:
        generated.unpersist()
    received = sum(part.rows for part in parts)
    if received != rows * workers:
        raise RuntimeError(f"{rows * workers:,} rows were generated, but the workers received {received:,}")
    return {
        "megabytes": received * _ROW_BYTES / 1e6,
        "filling": received * _ROW_BYTES / 1e6 / (wall - max(part.reading for part in parts)),
        "reading": [part.rows * _ROW_BYTES / 1e6 / part.reading for part in parts if part.rows],
        "rows": [part.rows for part in parts],
    }


def _rows(count: int, numbers: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    """Generate `count` random rows for each number, the same for the same number."""
    for number in [value for batch in numbers for value in batch.column(0).to_pylist()]:
        random = numpy.random.default_rng([_SEED, number])
        for begin in range(0, count, _STEP):
            size = min(_STEP, count - begin)
            offsets = numpy.arange(0, size * _WIDTH + 1, _WIDTH, dtype="int32")
            x = pyarrow.ListArray.from_arrays(offsets, random.random(size * _WIDTH, dtype="float32"))
            yield pyarrow.RecordBatch.from_pydict({"x": x, "y": random.integers(0, 10, size, dtype="int32")})


@dataclass(frozen=True)
class _FillAndRead:
    """A barrier task that fills segments as a training task does, then reads them as its child does."""

    layout: feed.Layout

    def __call__(self, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        context = BarrierTaskContext.get()
        with tempfile.TemporaryDirectory(dir=os.environ["SPARK_LOCAL_DIRS"].split(",")[0]) as folder:
            segments = Path(folder, "segments")
            writer = feed.SegmentWriter(segments, self.layout)
            for batch in batches:
                writer.write(batch)
            filled = writer.close()
            agreement = feed.agree_through(context.allGather, context.partitionId(), filled)
            part, sizes = context.partitionId(), (_BATCH,) * len(agreement["counts"])
            begun = time.perf_counter()
            shard = feed.Shard(segments, filled, agreement, part, _SEED, sizes)
            rows = sum(len(batch.label) for batch in shard.epoch(0))
            reading = time.perf_counter() - begun
        yield pyarrow.RecordBatch.from_pydict({"rows": [rows], "reading": [reading]})
