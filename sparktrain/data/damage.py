"""Finds and counts files and records that Spark's own readers can't read, before the rows are used."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparktrain.data.errors import InputError, explain, unreadable_file
from sparktrain.data.files import files_behind, normal
from sparktrain.data.identity import column, content_hash

CORRUPT_RECORD = "_sparktrain_corrupt"
_MOST_FILES = 100


def set_aside(frame: DataFrame, tolerant: DataFrame | None) -> tuple[DataFrame, list[str], list[str]]:
    """Exclude damaged files and records.

    Spark can skip damaged files by itself, but doesn't count them, and keeps the rows of a file that were read before the
    damage, which depend on how it is split among tasks. So all rows are read once just to find what is damaged: a damaged
    file is left out completely, a text record that can't be parsed by itself.

    Args:
        frame: the rows of files, not yet read; for text, with records that can't be parsed in CORRUPT_RECORD.
        tolerant: the same rows, read so that Spark skips what it can't read, if the files record their number of rows;
            None for other formats, of which all files are read again for each damaged one.

    Returns:
        The rows that can be read, notes for the user on the others, and the files left out completely.

    Raises:
        InputError: more than 100 files can't be read.
    """
    text = CORRUPT_RECORD in frame.columns
    content = content_hash(frame)
    suspects = None if tolerant is None else _suspects(frame, tolerant, content)
    looked_at = frame if suspects is None else frame.where(_is_in(suspects))
    bad: dict[str, str] = {}
    records: dict[str, int] = {}
    while suspects is None or suspects:
        rows = looked_at.where(~_is_in(bad)) if bad else looked_at
        try:
            if text:
                records = _counted(rows, content)
            else:
                rows.agg(F.bit_xor(content)).collect()
            break
        except (PySparkException, Py4JJavaError) as error:
            file = unreadable_file(error)
            if file is None or file in bad:
                raise
            bad[file] = str(explain(error))
            if len(bad) > _MOST_FILES:
                raise InputError(
                    f"more than {_MOST_FILES} files can't be read, so something is wrong with all of "
                    f"them. The first: {next(iter(bad.values()))}"
                ) from error
    kept = frame.where(~_is_in(bad)) if bad else frame
    if text:
        # Always true, but as Spark doesn't know that, it parses all columns: what counts as damaged must not depend on which
        # columns are used later.
        parsed = F.pmod(content, F.lit(1)) == 0
        kept = kept.where(column(CORRUPT_RECORD).isNull() & parsed).drop(CORRUPT_RECORD)
    return kept, _notes(bad, records), list(bad)


def _suspects(frame: DataFrame, tolerant: DataFrame, content: Column) -> list[str]:
    """Return the files of which Spark reads fewer rows than their footers record, or none; found in one pass over all.

    Files without rows are among them. Only these few are then read again for each damaged file.
    """
    file = F.col("_metadata.file_path")
    recorded: dict[str, int] = dict(tolerant.groupBy(file).count().collect())  # without a column, rows are counted in the footers
    read = {name: rows for name, rows, _ in tolerant.groupBy(file).agg(F.count("*"), F.bit_xor(content)).collect()}
    whole = {normal(unquote(name)) for name, rows in recorded.items() if read.get(name) == rows}
    return [each.path for each in files_behind(frame) if normal(each.path) not in whole]


def _counted(rows: DataFrame, content: Column) -> dict[str, int]:
    """Return how many records of each file can't be parsed."""
    counted = rows.groupBy(F.col("_metadata.file_path").alias("file")).agg(
        F.count(column(CORRUPT_RECORD)).alias("broken"), F.bit_xor(content).alias("content")
    )
    return {row.file: row.broken for row in counted.where("broken > 0 AND content IS NOT NULL").collect()}


def _notes(bad: dict[str, str], records: dict[str, int]) -> list[str]:
    if not bad and not records:
        return []
    lines = [f"left out whole: {why.partition(' Repair or remove')[0]}" for why in bad.values()]
    lines += [f"{file}: {count} records that can't be parsed were skipped" for file, count in sorted(records.items())]
    return [
        f"data.corrupt: skip left out {len(bad)} files, and {sum(records.values())} records of {len(records)} other files",
        *lines[:100],
    ]


def _is_in(files: Iterable[str]) -> Column:
    return F.col("_metadata.file_path").isin(_spellings(files))


def _spellings(files: Iterable[str]) -> list[str]:
    """Return all spellings of paths in `_metadata.file_path`: percent-encoded or not, with one slash or three."""
    plain = {normal(file) for file in files}
    encoded = plain | {quote(unquote(file), safe="/:=@!$&'()*+,;~") for file in plain}
    return sorted(encoded | {file.replace("file:/", "file:///", 1) for file in encoded if file.startswith("file:/")})
