"""Records handed to Spark in batches."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.data import records

SCHEMA = pa.schema([("image", pa.binary()), ("tags", pa.list_(pa.string())), ("n", pa.int64())])


@given(sizes=st.lists(st.integers(0, 400), max_size=60), rows=st.integers(1, 20), limit=st.integers(100, 1000))
def test_batches_are_bounded_in_rows_and_bytes_and_keep_every_record(sizes, rows, limit):
    made = [{"image": bytes(size // 2), "tags": ["x" * (size // 2)], "n": number} for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_ROWS", rows)
        patch.setattr(records, "_BATCH_BYTES", limit)
        batches = list(records.batched(iter(made), SCHEMA, "a"))
    assert [row for batch in batches for row in batch.to_pylist()] == made
    for batch in batches:
        assert 1 <= batch.num_rows <= rows
        assert batch.num_rows == 1 or sum(8 + sizes[number] // 2 * 2 for number in batch["n"].to_pylist()) <= limit


def test_large_records_are_held_in_memory_a_few_at_a_time():
    asked = []

    def images():
        for number in range(1024):
            asked.append(number)
            yield {"image": bytes(3_000_000), "n": number}

    stream = records.batched(images(), SCHEMA, "file:/x")
    first = next(stream)
    assert first.num_rows == 5 and len(asked) == 6 and first.nbytes < 16 << 20
    assert next(stream).num_rows == 5 and len(asked) == 11
