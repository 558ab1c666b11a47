"""The frame that is trained on, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyspark import StorageLevel
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from sparktrain.data import census as counting
from sparktrain.data.dealing import Key, find_repeated
from sparktrain.data.errors import InputError, explained
from sparktrain.data.reading import Source
from sparktrain.data.writing import write_rows

REPORTED_CLASSES = 1000  # more different labels are a measure, not classes


@dataclass
class Prepared:
    """The frame that is trained on, and what is known of it.

    Attributes:
        frame: the columns that training needs, with ROW (bigint) and VALIDATION (boolean); lazy.
        pipeline: fitted; None where there is none.
        classes: what the label column holds, in the order of the model's outputs; None where it holds numbers.
        label_names: what the numbers of the label column stand for, where the pipeline made them.
        counts_before: training rows of each class before sampling; None where nothing is sampled, or the label has no
            classes.
        counts_after: the same after sampling.
        rows: training rows after sampling; None where nothing is sampled.
        validation_rows: rows marked for validation; None where nothing is sampled.
        inputs: files read: path, length in bytes, modified in milliseconds since 1970.
        origin: where the frame was written, in `url`, and what its lineage.json says but for the inputs; None where it
            was not read by `data.prepared`.
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
    _notes: list[str] = field(default_factory=list)
    _sources: list[Source] = field(default_factory=list)
    _steps: list[tuple[str, DataFrame]] = field(default_factory=list)
    _kept: list[DataFrame] = field(default_factory=list)
    _computed: DataFrame | None = None  # what `store` has written
    _costly: bool = False  # whether reading the rows again takes longer than writing them to the disk
    _repeated: dict[tuple[int, bool], dict[Key, int]] = field(default_factory=dict)

    @property
    def labels(self) -> list[Any] | None:
        """What the model's outputs stand for, in their order; None where the label column holds plain numbers."""
        return self.classes if self.classes is not None else self.label_names

    @property
    def notes(self) -> list[str]:
        """What the user is to be told; once the rows have been read, of what was passed over too."""
        return [*self._notes, *(note for source in self._sources for note in source.notes())]

    def note(self, text: str) -> None:
        """Have the user told something of the rows."""
        self._notes.append(text)

    def name(self, label: Any) -> Any:
        """What a value of the frame's label column stands for."""
        names = self.label_names
        if names is not None and isinstance(label, float) and label.is_integer() and 0 <= label < len(names):
            return names[int(label)]
        return label

    def store(self, url: str) -> None:
        """Write the frame to a storage, and have it read from there until it is released.

        Raises:
            InputError: Spark can't write there, or a file or a record can't be read.
        """
        with explained():
            written = write_rows(self.frame, url)
        self.release()
        self.frame, self._computed = written, self.frame

    def count(self, label: str, seed: int, again: bool = False) -> None:
        """Count the rows, in one pass over them, where that has not been done.

        Args:
            label: the column of the classes.
            seed: the job's.
            again: also where it has.
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
        """Find the rows that are there very often, for `deal`; in a pass over the rows, once for so many parts.

        Args:
            parts: how many workers share the rows.
            whole: whether each gets all training rows.

        Raises:
            InputError: a file or a record can't be read.
        """
        if (parts, whole) not in self._repeated:
            if self._costly and parts > 1 and not self._kept and self._computed is None:
                self.keep()
            with explained():
                self._repeated[parts, whole] = find_repeated(self.frame, parts, whole)
        return self._repeated[parts, whole]

    def keep(self) -> None:
        """Have the rows kept on the executors' disks, as they are now, once they are computed."""
        self.frame = self.frame.persist(StorageLevel.DISK_ONLY)
        self._kept.append(self.frame)

    def release(self) -> None:
        """Free what is kept of the frame on the executors, and let go of what was stored. It can still be computed anew."""
        kept, self._kept = self._kept, []
        for frame in kept:
            frame.unpersist()
        if self._computed is not None:
            self.frame, self._computed = self._computed, None

    def why_empty(self) -> InputError:
        """Which step left no training rows: to be asked once there were none."""
        before = ""
        for step, frame in self._steps:
            if frame.isEmpty():
                return InputError(f"there are no training rows: {step} leaves none{before}.")
            before = f" of those that {step} gives"
        return InputError(f"there are no training rows after the last step{before}.")
