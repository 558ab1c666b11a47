"""Memory that stays flat, measured as YARN does: the pages that are resident, those of mapped files included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 200 << 20  # a worker's memory, Python and its libraries included

PROGRAM = """
import sys
import numpy as np, pyarrow as pa
from sparktrain.feed import Column, Input, Layout, SegmentWriter, Shard, agree

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))

def forget():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")

from sparktrain.feed import spool
spool._RANGES = 2   # so that they are larger than the limit, as those of very many rows are
folder, total = sys.argv[1], int(sys.argv[2])
generator = np.random.default_rng(0)
order = sys.argv[3] or None
layout = Layout((Input("x", (Column("x"),)),), "y", validation="v", order=order)
writer = SegmentWriter(folder, layout, segment_bytes=8 << 20)
written = 0
while written < total:
    values = generator.random((1000, 784), dtype=np.float32)
    offsets = np.arange(0, values.size + 1, 784, dtype=np.int32)
    writer.write(pa.record_batch({
        "x": pa.ListArray.from_arrays(offsets, values.reshape(-1)),
        "y": np.zeros(1000, np.int32), "v": np.arange(1000) % 10 == 0,
        "key": generator.integers(-1 << 63, 1 << 63, 1000),
    }))
    written += values.nbytes
filled = writer.close()
fill_peak = peak()
assert filled.bytes >= total
forget()
shard = Shard(folder, filled, agree([filled.to_json()]), 0, 7, (64,))
for epoch in range(2):
    assert sum(len(batch.label) for batch in shard.epoch(epoch)) == shard.rows
    assert sum(len(batch.label) for batch in shard.validation(64)) == shard.validation_rows
print(fill_peak, peak())
"""


@pytest.mark.parametrize("order", ["", "key"], ids=["as-they-come", "put-in-order"])
def test_rows_of_five_times_a_workers_memory_are_filled_and_read_within_it(tmp_path, order):
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "rows"), str(5 * LIMIT), order],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert told.returncode == 0, told.stderr
    filling, reading = map(int, told.stdout.split())
    assert filling < LIMIT, f"{filling >> 20} MB resident while filling"
    assert reading < LIMIT, f"{reading >> 20} MB resident while reading"
