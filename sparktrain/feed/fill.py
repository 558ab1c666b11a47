"""Fills segments: converts record batches from Spark's mapInArrow to dense rows, and writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sparktrain.feed import strings
from sparktrain.feed.columns import dense, input_dtypes, joined, numbers, row_shape, runs
from sparktrain.feed.disks import Disk, Disks
from sparktrain.feed.errors import BadInput, Fault
from sparktrain.feed.filled import Filled
from sparktrain.feed.labels import LabelCounts, check_weight_type, label_dtype, labels, weights
from sparktrain.feed.layout import MORE_LABEL, Column, Layout
from sparktrain.feed.packing import unpacked
from sparktrain.feed.row_condition import row_condition
from sparktrain.feed.spool import DISK
from sparktrain.feed.store import INPUT, LABEL, ORDER, WEIGHT, Field, Store

_CHUNK_BYTES = 1 << 20  # converted at once: they stay in the processor's cache from check to copy
_CHUNK_ROWS = 1 << 12  # rows converted at once at most, if they are wide
_WIDE_CHUNK_BYTES = 16 << 20  # of wide rows, as each chunk costs some microseconds a column
_EXACT = 1 << 24  # up to this, float32 has every whole number
_MOST_ROWS = 1 << 18  # in a segment, to limit the row numbers that are shuffled when reading


class SegmentWriter:
    """Writes one part's rows to segments, and checks each value.

    Dtypes are those that Keras users expect (`columns.element_dtype`): floats, doubles, decimals and ML vectors become
    float32, whole numbers int32 or int64, booleans bool, strings and bytes arrays of bytes; several columns of one input are
    joined by `columns.joined`. Labels are int32 class numbers if the layout has classes, else like inputs; one number a row
    has the shape (). Weights are float32, at least 0.

    At most one segment of rows is held in memory, beside the batch that is being written. If the layout names an `order`,
    rows are put in it when the writer is closed: in memory, with a second copy of a field, or, if there are more rows than
    a segment has, by writing all of them a second time.

    Args:
        folder: an empty or missing local folder; or several, on different disks, over which the segments are spread.
        layout: which columns become which inputs, label and weight.
        segment_bytes: the largest size of a segment, unless a single row is larger. With validation rows, a quarter of the
            memory is for them. Strings count by their content, and up to as many bytes more for Python's overhead.

    Raises:
        BadInput: by `write` and `close`: the rows can't be trained on.
        OSError: a segment can't be written.
    """

    def __init__(self, folder: str | Path | Disks, layout: Layout, segment_bytes: int = 64 << 20):
        self._disks = folder if isinstance(folder, Disks) else Disks([Disk(Path(folder))])
        for each in self._disks.folders:
            each.mkdir(parents=True, exist_ok=True)
        self._layout = layout
        self._segment_bytes = segment_bytes
        self._fields: list[Field] | None = None
        self._undecided: list[pa.RecordBatch] = []
        self._rows = 0
        self._content = 0  # bytes of strings so far
        self._label_ranges: dict[str, tuple[float, float]] = {}  # by the label's field
        self._label_counts = LabelCounts()
        self._digest = 0
        self._stores: dict[bool, Store] = {}  # by whether it is that of validation rows

    @property
    def row_bytes(self) -> int | None:
        """Bytes of a row on disk, including those for putting rows in order; None before the first rows.

        Strings count with their average so far.
        """
        if self._fields is None or not self._rows:
            return None
        size: float = sum(
            8 * math.prod(field.shape) if field.dtype == strings.DTYPE else field.row_bytes for field in self._fields
        )
        size += self._content / self._rows
        return math.ceil(size if self._layout.order is None else size * DISK)

    def write(self, batch: pa.RecordBatch) -> None:
        """Convert, check and store a batch's rows. The batch itself is not kept.

        Raises:
            BadInput: the rows can't be trained on.
            OSError: a segment can't be written.
        """
        if not batch.num_rows:
            return
        fields = self._fields
        if fields is None:
            self._undecided.append(batch)
            fields = self._fields = self._decide(unpacked(batch, self._layout.sent))
            if fields is None:
                return
            batches, self._undecided = self._undecided, []
        else:
            batches = [batch]
        for waiting in batches:
            rows = self._chunk_rows
            if any(field.dtype == strings.DTYPE for field in fields):
                rows = max(1, min(rows, _WIDE_CHUNK_BYTES * waiting.num_rows // max(1, waiting.nbytes)))
            for start in range(0, waiting.num_rows, rows):
                self._write(unpacked(waiting.slice(start, rows), self._layout.sent), fields)

    def close(self, between: Callable[[], None] = lambda: None) -> Filled:
        """Put the rows in order, write the remaining ones, and return the description of the segments.

        Args:
            between: called after each segment, of which there may be many.

        Raises:
            BadInput: the rows can't be trained on.
            OSError: a segment can't be written.
        """
        if self._undecided:
            self._refuse_undecided()
        for store in self._stores.values():
            store.close(between)
        training, validation = self._stores.get(False), self._stores.get(True)
        described = {field.name: field.told() for field in self._fields or ()}
        filled = Filled(
            inputs={source.name: described[INPUT + source.name] for source in self._layout.inputs} if described else None,
            label=described[LABEL]["columns"][0] if described else None,
            label_range=list(self._label_ranges[LABEL]) if self._label_ranges else None,
            more_label_ranges={
                name.removeprefix(INPUT): list(bounds) for name, bounds in self._label_ranges.items() if name != LABEL
            },
            label_counts=self._label_counts.told(),
            weighted=self._layout.weight is not None,
            segments=training.segments if training else [],
            validation_segments=validation.segments if validation else [],
            places=training.places if training else [],
            validation_places=validation.places if validation else [],
            bytes=sum(store.bytes for store in self._stores.values()),
            digest=self._digest,
        )
        self._stores = {}
        return filled

    def _decide(self, batch: pa.RecordBatch) -> list[Field] | None:
        """Determine shapes and dtypes from the first batch that shows all of them, and allocate memory for a segment.

        Returns:
            The fields; None where the batch does not show them all.
        """
        layout = self._layout
        fields: list[Field] = []
        for source in layout.inputs:
            kinds = [self._column(batch, column.name).type for column in source.columns]
            dtypes = input_dtypes(source, kinds)
            if source.name.startswith(MORE_LABEL):
                label_dtype(source.columns[0].name, kinds[0], None)
            found = [self._shape(batch, column) for column in source.columns]
            shapes = [shape for shape in found if shape is not None]
            if len(shapes) < len(found):
                return None
            shape, dtype = joined(list(zip(shapes, dtypes)), source.columns[0].shape is not None)
            fields.append(
                Field(INPUT + source.name, source.columns, tuple(shapes), tuple(dtypes), shape, dtype, runs(kinds, shapes))
            )
        kind = self._column(batch, layout.label).type
        dtype = label_dtype(layout.label, kind, layout.classes)
        label = Column(layout.label)
        label_shape = () if layout.classes is not None else self._shape(batch, label)
        assert label_shape is not None  # only that of a column to be padded can stay open
        fields.append(Field(LABEL, (label,), (label_shape,), (dtype,), label_shape, dtype))
        if layout.weight is not None:
            check_weight_type(layout.weight, self._column(batch, layout.weight).type)
            dtype = np.dtype(np.float32)
            fields.append(Field(WEIGHT, (Column(layout.weight),), ((),), (dtype,), (), dtype))
        row_bytes = sum(field.row_bytes for field in fields)
        if layout.order is not None:
            fields.append(Field(ORDER, (Column(layout.order),), ((),), (np.dtype(np.int64),), (), np.dtype(np.int64)))
        self._chunk_rows = _chunk_rows(row_bytes, self._segment_bytes)
        shares = {False: self._segment_bytes}
        if layout.validation is not None:
            self._column(batch, layout.validation)
            for_training = self._segment_bytes * 3 // 4
            shares = {False: for_training, True: self._segment_bytes - for_training}
        self._stores = {
            validation: Store(self._disks, fields, _capacity(share, row_bytes), share, validation)
            for validation, share in shares.items()
        }
        return fields

    def _shape(self, batch: pa.RecordBatch, column: Column) -> tuple[int, ...] | None:
        array = self._column(batch, column.name)
        with _AsBadInput(column.name, array, sum(waiting.num_rows for waiting in self._undecided[:-1])):
            return row_shape(array, column)

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        index = batch.schema.get_field_index(name)
        if index < 0:
            raise BadInput(
                f"column {name!r} is not, or not just once, among the columns that came: {batch.schema.names}. "
                "Correct data.features, data.label or data.weight, or make the column in data.preprocess."
            )
        return batch.column(index)

    def _refuse_undecided(self) -> None:
        rows = sum(batch.num_rows for batch in self._undecided)
        undecided = [unpacked(batch, self._layout.sent) for batch in self._undecided]
        for source in self._layout.inputs:
            for column in source.columns:
                if all(self._shape(batch, column) is None for batch in undecided):
                    kind = self._column(undecided[0], column.name).type
                    raise BadInput(
                        f"column {column.name!r} ({kind}): all {rows:,} rows of this part are empty sequences, so it "
                        "is not known what shape their elements would have. Give the column its `shape`, "
                        f"[{column.length}, ...], beside its `length`."
                    )

    def _write(self, batch: pa.RecordBatch, fields: list[Field]) -> None:
        try:
            rows = {field.name: list(self._converted(batch, field)) for field in fields}
            for field in fields:
                self._refuse_inexact(batch, field, rows[field.name])
        except BadInput as error:
            if error.row is None:
                raise
            condition = row_condition(batch, error.row, (self._layout.validation, self._layout.order))
            raise BadInput(f"{error} To find it: WHERE {condition}") from None
        for name in (LABEL, *(field.name for field in fields if field.name.startswith(INPUT + MORE_LABEL))):
            low, high = rows[name][0].min().item(), rows[name][0].max().item()
            before = self._label_ranges.get(name, (low, high))
            self._label_ranges[name] = min(low, before[0]), max(high, before[1])
        marked = self._marked(batch)
        self._label_counts.add(rows[LABEL][0] if marked is None else rows[LABEL][0][~marked])
        if ORDER in rows:
            keys = rows[ORDER][0] if marked is None else rows[ORDER][0][~marked]
            self._digest = (self._digest + int(keys.view(np.uint64).sum())) % (1 << 64)
        if marked is None or not marked.any():
            self._stores[False].append(rows, batch.num_rows)
        elif marked.all():
            self._stores[True].append(rows, batch.num_rows)
        else:
            for validation, kept in ((False, ~marked), (True, marked)):
                chosen = {name: [part[kept] for part in parts] for name, parts in rows.items()}
                self._stores[validation].append(chosen, int(kept.sum()))
        self._rows += batch.num_rows
        self._content += sum(
            strings.content(part) for field in fields if field.dtype == strings.DTYPE for part in rows[field.name]
        )

    def _converted(self, batch: pa.RecordBatch, field: Field) -> Iterator[np.ndarray]:
        """Yield the field's columns, or groups of them, as arrays [n, ...]."""
        for first, stop in field.runs:
            columns = field.columns[first:stop]
            together = (
                numbers(batch.select([column.name for column in columns]), field.dtypes[first]) if stop - first > 1 else None
            )
            if together is not None:
                yield together
                continue
            for column, shape in zip(columns, field.shapes[first:stop]):
                array = self._column(batch, column.name)
                with _AsBadInput(column.name, array, self._rows):
                    if field.name == LABEL:
                        yield labels(array, column.name, self._layout.classes, shape)
                    elif field.name == WEIGHT:
                        yield weights(array, column.name)
                    elif field.name == ORDER:
                        yield array.to_numpy()
                    else:
                        yield dense(array, column, shape)

    def _refuse_inexact(self, batch: pa.RecordBatch, field: Field, parts: list[np.ndarray]) -> None:
        """Raise Fault if a whole number would lose digits as float32, in an input that also has floats."""
        if field.dtype != np.float32 or len(field.columns) == 1:
            return
        before = 0
        for part in parts:
            flat = part.reshape(len(part), -1)
            if flat.dtype.kind == "i" and (flat.max(initial=0) > _EXACT or flat.min(initial=0) < -_EXACT):
                row, place = np.argwhere((flat > _EXACT) | (flat < -_EXACT))[0].tolist()
                names = [column.name for column, shape in zip(field.columns, field.shapes) for _ in range(math.prod(shape))]
                name = names[before + place]
                with _AsBadInput(name, self._column(batch, name), self._rows):
                    raise Fault(
                        row,
                        str(flat[row, place]),
                        int(((flat > _EXACT) | (flat < -_EXACT)).any(axis=1).sum()),
                        f"loses digits as float32, which input {field.name.removeprefix(INPUT)!r} has as there are floats beside it",
                        "Give the column an input of its own, or cast it to float in data.preprocess if that is meant.",
                    )
            before += flat.shape[1]

    def _marked(self, batch: pa.RecordBatch) -> np.ndarray | None:
        if self._layout.validation is None:
            return None
        mark = self._column(batch, self._layout.validation)
        if not pa.types.is_boolean(mark.type) or mark.null_count:
            raise BadInput(
                f"column {self._layout.validation!r} ({mark.type}) marks validation rows: expected true or false in "
                f"every row, {mark.null_count:,} of {batch.num_rows:,} are null."
            )
        return mark.to_numpy(zero_copy_only=False)


class _AsBadInput:
    """A context manager that converts a fault in an array to an error for the user."""

    def __init__(self, column: str, array: pa.Array, rows_before: int):
        self._context = (column, str(array.type), rows_before, len(array))

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Fault):
            raise error.told(*self._context) from None


def _chunk_rows(row_bytes: int, segment_bytes: int) -> int:
    """Return how many rows are converted at once."""
    wide = min(_CHUNK_ROWS, _WIDE_CHUNK_BYTES // row_bytes)
    return max(1, min(max(_CHUNK_BYTES // row_bytes, wide), segment_bytes // row_bytes))


def _capacity(size: int, row_bytes: int) -> int:
    return max(1, min(size // row_bytes, _MOST_ROWS))
