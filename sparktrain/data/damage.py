"""Files and records that Spark's own readers can't read: found and counted before the rows are used."""

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
    """The rows that can be read, what the user is to be told of the others, and the files left out whole.

    Spark can pass over damaged files by itself, but doesn't count them and keeps the part of a file that was read
    before the damage, which depends on how it is split among tasks. So all rows are read once, only to find what is
    damaged: a file that breaks off is left out whole, a record of text that can't be parsed alone.

    Args:
        frame: rows of files, not yet read; those of text with the records that can't be parsed in CORRUPT_RECORD.
        tolerant: the same, of files that say how many rows they have, read so that Spark passes over what it can't read;
            None of other files, all of which are read again for each that can't be.

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
        # Always true, but Spark does not know it, and so parses all columns: what is damaged must not depend on which
        # columns are used later.
        parsed = F.pmod(content, F.lit(1)) == 0
        kept = kept.where(column(CORRUPT_RECORD).isNull() & parsed).drop(CORRUPT_RECORD)
    return kept, _told(bad, records), list(bad)


def _suspects(frame: DataFrame, tolerant: DataFrame, content: Column) -> list[str]:
    """The files, found in one pass over all, of which Spark reads fewer rows than their footers say, or none at all.

    Those that have no rows are among them. So only these few are read once for each that is damaged.
    """
    file = F.col("_metadata.file_path")
    said: dict[str, int] = dict(tolerant.groupBy(file).count().collect())  # without a column, rows are counted in the footers
    read = {name: rows for name, rows, _ in tolerant.groupBy(file).agg(F.count("*"), F.bit_xor(content)).collect()}
    whole = {normal(unquote(name)) for name, rows in said.items() if read.get(name) == rows}
    return [each.path for each in files_behind(frame) if normal(each.path) not in whole]


def _counted(rows: DataFrame, content: Column) -> dict[str, int]:
    """The records of each file that can't be parsed."""
    counted = rows.groupBy(F.col("_metadata.file_path").alias("file")).agg(
        F.count(column(CORRUPT_RECORD)).alias("broken"), F.bit_xor(content).alias("content")
    )
    return {row.file: row.broken for row in counted.where("broken > 0 AND content IS NOT NULL").collect()}


def _told(bad: dict[str, str], records: dict[str, int]) -> list[str]:
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
    """A place as `_metadata.file_path` may spell it: percent-encoded or not, with one slash or three."""
    plain = {normal(file) for file in files}
    encoded = plain | {quote(unquote(file), safe="/:=@!$&'()*+,;~") for file in plain}
    return sorted(encoded | {file.replace("file:/", "file:///", 1) for file in encoded if file.startswith("file:/")})
