"""Rows as Spark hands them over, and parts written and agreed on as the tasks do it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sparktrain.feed import Column, Input, Layout, SegmentWriter, Shard, agree


@pytest.fixture
def column(tmp_path) -> Callable[..., np.ndarray]:
    """Write one column to segments, as batches of these arrays, and read its rows back in their order."""

    def through(*arrays: pa.Array, **words: Any) -> np.ndarray:
        writer = SegmentWriter(tmp_path / "column", Layout((Input("x", (Column("x", **words),)),), "y", validation="v"))
        for array in arrays:
            zeros, marks = np.zeros(len(array), np.int32), np.ones(len(array), bool)
            writer.write(pa.record_batch({"x": array, "y": zeros, "v": marks}))
        filled = writer.close()
        # Validation rows come back in the order in which they went.
        agreement = agree([{**filled.to_json(), "segments": [1]}])
        shard = Shard(tmp_path / "column", filled, agreement, 0, 0, (4,))
        return np.concatenate([batch.inputs["x"] for batch in shard.validation(1000)])

    return through


@pytest.fixture
def parts(tmp_path) -> Callable[..., list[Shard]]:
    """Write parts of so many rows, of which `validation` more are validation rows; each row has a number of its own."""
    made = 0

    def write(
        counts: Sequence[int],
        batch_sizes: Sequence[int],
        *,
        validation: Sequence[int] | None = None,
        segment_bytes: int = 64 << 20,
        arriving: int = 10_000,
        width: int = 2,
        seed: int = 7,
    ) -> list[Shard]:
        nonlocal made
        made += 1
        validation = validation or [0] * len(counts)
        layout = Layout((Input("x", (Column("x"),)), Input("row", (Column("row"),))), "y", None, "w", "v")
        folders, filled, first = [], [], 0
        for part, (count, held_out) in enumerate(zip(counts, validation)):
            folders.append(Path(tmp_path) / f"{made}-{part}")
            writer = SegmentWriter(folders[-1], layout, segment_bytes)
            total = count + held_out
            marks = np.zeros(total, bool)
            marks[np.linspace(0, total - 1, held_out).astype(int)] = True
            for start in range(0, total, arriving):
                rows = np.arange(first + start, first + min(total, start + arriving))
                writer.write(numbered_rows(rows, marks[start : start + arriving], width))
            first += total
            filled.append(writer.close())
        agreement = json.loads(json.dumps(agree([json.loads(json.dumps(part.to_json())) for part in filled])))
        return [Shard(folder, one, agreement, part, seed, batch_sizes) for part, (folder, one) in enumerate(zip(folders, filled))]

    return write


def numbered_rows(rows: np.ndarray, marks: np.ndarray, width: int) -> pa.RecordBatch:
    """Rows of which every column tells the row's number."""
    offsets = np.arange(0, len(rows) * width + 1, width, dtype=np.int32)
    return pa.record_batch(
        {
            "x": pa.ListArray.from_arrays(offsets, np.repeat(rows, width).astype(np.float32)),
            "row": pa.array(rows),
            "y": pa.array((rows % 10).astype(np.int32)),
            "w": pa.array(rows.astype(np.float64)),
            "v": pa.array(marks),
        }
    )
