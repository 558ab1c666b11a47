"""A training process's memory does not grow with its rows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sparktrain import feed
from sparktrain.cluster.processes.child import Child
from sparktrain.interfaces.messages import Finished, Order
from sparktrain.interfaces.training_spec import Fit, Output, Source, TrainingSpec

pytestmark = [pytest.mark.real, pytest.mark.slow]
WIDTH, BATCH, LIMIT = 784, 512, 280 << 20  # of which four segments of 64 MiB are mapped
USER = Path(__file__).resolve().parent / "user"


def peak(folder: Path, rows: int) -> tuple[int, int]:
    """Bytes resident at the most (mapped pages counted, as YARN does), and bytes of the segments."""
    folder.mkdir()
    layout = feed.Layout((feed.Input("x", (feed.Column("x"),)),), "y")
    writer = feed.SegmentWriter(folder / "segments", layout)
    step = 10_000
    values = np.random.default_rng(7).random(step * WIDTH, dtype=np.float32)
    offsets = np.arange(0, step * WIDTH + 1, WIDTH, dtype=np.int32)
    batch = pa.record_batch({"x": pa.ListArray.from_arrays(offsets, values), "y": np.zeros(step, np.float32)})
    for _ in range(rows // step):
        writer.write(batch)
    filled = writer.close()
    shard = feed.Shard(folder / "segments", filled, feed.agree([filled.to_json()]), 0, 7, (BATCH,))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(USER.parents[2]), str(USER)]), "TMPDIR": str(folder)}
    child = Child(environment, lambda message: None, str(folder))
    child.order(
        Order(
            spec=TrainingSpec(
                run="memory",
                engine="single",
                model=Source(function="trained:wide"),
                fit=Fit(epochs=2, batch_sizes=(BATCH,)),
                seed=7,
                output=Output(f"file://{folder}/output"),
            ),
            rank=0,
            size=1,
            part=0,
            environment={},
            feed=shard.to_json(),
        )
    )
    outcome = child.wait()
    assert isinstance(outcome, Finished) and outcome.rows == 2 * rows, outcome
    return outcome.peak_memory, filled.bytes


def test_a_worker_trains_on_five_times_the_memory_that_its_rows_may_take(tmp_path):
    few, _ = peak(tmp_path / "few", 10_000)
    many, size = peak(tmp_path / "many", 480_000)
    assert size > 5 * LIMIT
    assert many - few < LIMIT, f"{(many - few) / 1e6:.0f} MB more"
