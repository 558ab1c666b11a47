"""The prepared frame with its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark import StorageLevel
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from sparktrain.data import census as counting
from sparktrain.data.arrow_types import arrow_schema
from sparktrain.data.buckets import BucketReader, Buckets, bucket_count, in_buckets
from sparktrain.data.dealing import MOST_PARTS, Key, find_repeated, very_frequent
from sparktrain.data.errors import InputError, explained
from sparktrain.data.files import files_under
from sparktrain.data.identity import only
from sparktrain.data.reading import Source
from sparktrain.data.writing import write_rows

REPORTED_CLASSES = 1000  # more distinct labels count as a measure, not as classes


@dataclass
class Prepared:
    """The frame to train on, with its pipeline, classes, counts and lineage.

    Attributes:
        frame: the columns that training needs, with ROW (bigint) and VALIDATION (boolean); lazy.
        pipeline: the fitted pipeline; None if there is none.
        classes: the values of the label column, in the order of the model's outputs; None if it has numbers.
        label_names: the values that the numbers in the label column stand for, if the pipeline made them; else None.
        counts_before: training rows of each class before sampling; None if they weren't counted, or there are no classes.
        counts_after: training rows of each class after sampling; None likewise.
        rows: training rows after sampling; None if they weren't counted.
        validation_rows: rows marked for validation; None if they weren't counted.
        inputs: the files read: path, length in bytes, modified in milliseconds since 1970.
        buckets: where the rows lie on the storage, for workers that read them by themselves; None if they don't.
        frequent: the rows that make up much of the frame, with their counts (`find_repeated` for MOST_PARTS parts); None if they
            weren't looked for.
        origin: the `url` that the frame was written to, and its lineage.json without the inputs; None if it wasn't read
            from `data.prepared`.
    """

    frame: DataFrame
    pipeline: PipelineModel | None = None
    classes: list[Any] | None = None
    label_names: list[str] | None = None
    counts_before: dict[Any, int] | None = None
    counts_after: dict[Any, int] | None = None
    rows: int | None = None
    validation_rows: int | None = None
    inputs: list[dict[str, Any]] = field(default_factory=list)
    origin: dict[str, Any] | None = None
    buckets: Buckets | None = None
    frequent: dict[Key, int] | None = None
    _notes: list[str] = field(default_factory=list)
    _sources: list[Source] = field(default_factory=list)
    _steps: list[tuple[str, DataFrame]] = field(default_factory=list)
    _kept: list[DataFrame] = field(default_factory=list)
    _computed: DataFrame | None = None  # the frame that `store` has written
    _costly: bool = False  # whether reading the rows again takes longer than writing them to the disk
    _repeated: dict[tuple[int, bool], dict[Key, int]] = field(default_factory=dict)

    @property
    def labels(self) -> list[Any] | None:
        """The classes in the order of the model's outputs; None if the label column has plain numbers."""
        return self.classes if self.classes is not None else self.label_names

    @property
    def notes(self) -> list[str]:
        """Notes for the user; once the rows have been read, also on files and records that were skipped."""
        return [*self._notes, *(note for source in self._sources for note in source.notes())]

    def note(self, text: str) -> None:
        """Add a note for the user."""
        self._notes.append(text)

    def name(self, label: Any) -> Any:
        """Return the class that a value of the frame's label column stands for."""
        names = self.label_names
        if names is not None and isinstance(label, float) and label.is_integer() and 0 <= label < len(names):
            return names[int(label)]
        return label

    def store(self, url: str, seed: int) -> None:
        """Write the frame to a storage, in buckets, and read it from there until it is released.

        Args:
            seed: the job's seed.

        Raises:
            InputError: Spark can't write there, or a file or a record can't be read.
        """
        count = bucket_count(sum(file["length"] for file in self.inputs))
        with explained():
            written = write_rows(in_buckets(self.frame, count, seed), url)
        names = files_under(written.sparkSession, url, "the prepared rows")
        self.release()
        self.frame, self._computed = only(written, self.frame.columns), self.frame
        self.buckets = Buckets.of_files(url, list(names), count, seed)

    def reader(self, parts: int, whole: bool, hadoop: Mapping[str, str]) -> BucketReader | None:
        """Return what reads each worker's rows from their buckets; None if the rows aren't in any, or only Spark can read them.

        Args:
            parts: the number of workers.
            whole: whether each worker gets all training rows.
            hadoop: Hadoop's settings that the storage needs.
        """
        if self.buckets is None or not self.buckets.readable(hadoop):
            return None
        return BucketReader(self.buckets, parts, whole, arrow_schema(self.frame.schema), dict(hadoop))

    def leave_to_spark(self) -> None:
        """Have Spark read rows in buckets, too: it knows storages and ways to write Parquet that workers by themselves don't."""
        if self.buckets is not None:
            self.buckets = replace(self.buckets, files=())

    def count(self, label: str, seed: int, again: bool = False) -> None:
        """Count the rows, in one pass over them, unless they have been counted.

        Args:
            label: the column of the classes.
            seed: the job's seed.
            again: whether to count them again.
        """
        if self.rows is not None and not again:
            return
        census = counting.count(self.frame, label, seed, None)
        self.rows, self.validation_rows = census.rows, census.validation_rows
        if census.counts is not None and len(census.counts) <= REPORTED_CLASSES:
            self.counts_after = {self.name(key): n for key, n in census.counts.items()}
            if self.counts_before is None:
                self.counts_before = self.counts_after
        census.release()

    def repeated(self, parts: int, whole: bool) -> dict[Key, int]:
        """Find very frequent rows, for `deal`, in one or two passes over the rows; the result is kept.

        Args:
            parts: the number of workers.
            whole: whether each worker gets all training rows.

        Raises:
            InputError: a file or a record can't be read.
        """
        if self.frequent is not None and parts <= MOST_PARTS and self.rows is not None and self.validation_rows is not None:
            return very_frequent(self.frequent, parts, whole, self.rows, self.validation_rows)
        if (parts, whole) not in self._repeated:
            if self._costly and parts > 1 and not self._kept and self._computed is None:
                self.keep()
            with explained():
                self._repeated[parts, whole] = find_repeated(self.frame, parts, whole)
        return self._repeated[parts, whole]

    def find_frequent(self) -> dict[Key, int]:
        """Return `frequent`, looked for in one or two passes over the rows if it isn't known.

        Raises:
            InputError: a file or a record can't be read.
        """
        if self.frequent is None:
            with explained():
                self.frequent = find_repeated(self.frame, MOST_PARTS)
        return self.frequent

    def keep(self) -> None:
        """Persist the rows on the executors' disks when they are next computed."""
        self.frame = self.frame.persist(StorageLevel.DISK_ONLY)
        self._kept.append(self.frame)

    def release(self) -> None:
        """Free the persisted rows on the executors, and use stored rows no longer; the frame can still be computed anew."""
        kept, self._kept = self._kept, []
        for frame in kept:
            frame.unpersist()
        if self._computed is not None:
            self.frame, self._computed, self.buckets = self._computed, None, None

    def share(self, label: str, seed: int) -> None:
        """Compute and persist the rows for several runs at the same time, if reading them again takes longer; see `borrowed`.

        Args:
            label: the column of the classes.
            seed: the job's seed.

        Raises:
            InputError: a file or a record can't be read.
        """
        if not self._costly or self._computed is not None:
            return
        if not self._kept:
            self.keep()
        with explained():
            self.count(label, seed)  # the pass in which they are computed: two runs would both compute what neither has kept

    def borrowed(self) -> Prepared:
        """Return the same rows for one of several runs, which neither persists nor releases them."""
        return replace(self, _notes=[*self._notes], _kept=[], _computed=None, _costly=False)

    def why_empty(self) -> InputError:
        """Return an error that names the step that left no training rows; call it only if there are none."""
        before = ""
        for step, frame in self._steps:
            if frame.isEmpty():
                return InputError(f"there are no training rows: {step} leaves none{before}.")
            before = f" of those that {step} gives"
        return InputError(f"there are no training rows after the last step{before}.")
