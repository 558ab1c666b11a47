"""The rows that a scoring reads, as a whole or in portions of their files, and their writing with the predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from sparktrain.config import ConfigError, Problem, RowSource, ScoresOutput
from sparktrain.data.files import InputFile, files_behind, summarised
from sparktrain.data.portions import of_files, portions, why_whole
from sparktrain.data.source_rows import Source, shaped, source_of
from sparktrain.data.writing import check_writable, save

_BYTES_OF_A_CORE = 2 << 30  # of files in a portion: with 128 MB a task, 16 tasks one after the other
_MOST_PORTIONS = 20


@dataclass(frozen=True)
class ScoredPortion:
    """Some of the rows, or all of them.

    Attributes:
        frame: the rows, after preparation.
    """

    frame: DataFrame

    def write(self, scorer: Callable[[DataFrame], DataFrame], url: str, output: ScoresOutput) -> int:
        """Score the rows and add them to a folder.

        Returns:
            How many there were.

        Raises:
            InputError: Spark can't write there.
        """
        spark = self.frame.sparkSession
        check_writable(spark, url, "the scores")
        counted = Observation("rows")
        scored = scorer(self.frame).observe(counted, F.count(F.lit(1)).alias("rows"))
        writer = scored.write.mode("append").format(output.format).options(**output.options)
        save(writer.partitionBy(*output.partition_by), spark, url)
        return counted.get["rows"]


class ScoredRows:
    """The rows that a scoring reads.

    Args:
        spark: the session.
        data: the section that names them.
        preprocess: the function that `data.preprocess` names.
        progress: called with a few words for each step.

    Attributes:
        frame: all rows, after preparation.

    Raises:
        InputError: they can't be read.
    """

    def __init__(
        self, spark: SparkSession, data: RowSource, preprocess: Callable[..., DataFrame] | None, progress: Callable[[str], None]
    ) -> None:
        self._spark, self._data = spark, data
        self._source = source_of(spark, data, None, progress)
        self._prepared = partial(shaped, data=data, preprocess=preprocess, steps=[])
        self.frame = self._prepared(self._source)
        self._files: list[InputFile] | None = None

    def inputs(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the files that are read, for the records, and notes for the user."""
        return summarised([*self._all_files(), *self._source.files])

    def notes(self) -> list[str]:
        """Return notes on files and records that were skipped, once the rows have been read."""
        return self._source.notes()

    def portion_count(self, asked: int | None) -> int:
        """Return in how many portions to score.

        Args:
            asked: the number that the configuration names; None to choose one by the files' size.

        Raises:
            ConfigError: several are asked for, and the rows can't be divided.
        """
        why = why_whole(self._data, self.frame)
        if why is not None:
            if asked is not None and asked > 1:
                came = f"{asked} came, but the rows can't be scored in portions: {why}"
                raise ConfigError([Problem("score.portions", came, "1, or nothing")])
            return 1
        if asked is not None:
            return asked
        size = sum(file.length for file in self._all_files())
        cores = self._spark.sparkContext.defaultParallelism
        return min(_MOST_PORTIONS, 1 + size // (_BYTES_OF_A_CORE * cores))

    def portions(self, count: int) -> Sequence[ScoredPortion]:
        """Return the rows in at most so many portions; the same files give the same ones."""
        parts = portions(self._all_files(), count) if count > 1 else []
        if len(parts) < 2:
            return [ScoredPortion(self.frame)]
        source = self._source
        return [ScoredPortion(self._prepared(Source(of_files(source.frame, part), source.key))) for part in parts]

    def _all_files(self) -> list[InputFile]:
        if self._files is None:
            self._files = files_behind(self.frame)
        return self._files
