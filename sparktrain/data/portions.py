"""Divides the files behind rows into portions that can be computed one after the other, where that gives the same rows."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparktrain.data.errors import InputError
from sparktrain.data.files import InputFile, files_behind

if TYPE_CHECKING:
    from sparktrain.config import RowSource

_OF_FILES = ("parquet", "orc", "csv", "json", "text", "binaryFile")  # formats whose rows tell their file
_LEGAL = frozenset(string.ascii_letters + string.digits + "_-!.~'()*,;:$&+=/@")
_ROW_BY_ROW = {"Project", "Filter", "Generate", "LogicalRelation", "BatchEvalPython", "ArrowEvalPython"}  # Spark's logical plans


def why_whole(data: RowSource, rows: DataFrame) -> str | None:
    """Return why rows can't be computed in portions of their files; None if they can.

    They can if each row comes from one row of one file, and from nothing else: no join, no aggregate, no order, nothing random.

    Args:
        data: the section that names the rows.
        rows: the rows after its preparation.
    """
    if data.path is None:
        return "they come from a table or a query"
    if data.format not in _OF_FILES:
        return f"files of the format {data.format} are read as a whole"
    if data.corrupt == "skip":
        return "damaged files are skipped and counted over all of them"
    plan = rows._jdf.queryExecution().optimizedPlan()
    if not plan.deterministic():
        return "their preparation has something random, or numbers rows by their place"
    relations = 0
    pending = [plan]
    while pending:
        node = pending.pop()
        kind = node.getClass().getSimpleName()
        if kind not in _ROW_BY_ROW:
            return f"their preparation has a step that needs several rows at once (Spark's {kind})"
        relations += kind == "LogicalRelation"
        children = node.children()
        pending += [children.apply(number) for number in range(children.size())]
    return None if relations == 1 else "they come from several sources"


def of_files(rows: DataFrame, files: Sequence[InputFile]) -> DataFrame:
    """Return those rows of a source that are read from some of its files; Spark opens no other ones.

    Raises:
        InputError: Spark spells a file's name otherwise, so that its rows would be missing.
    """
    some = rows.where(F.col("_metadata.file_path").isin([spelled(file.path) for file in files]))
    missing = {file.path for file in files} - {file.path for file in files_behind(some)}
    if missing:
        raise InputError(
            f"{min(missing)}: Spark has another name for this file, so that it can't be read in a portion of its own. Read all files in one: "
            "score.portions: 1"
        )
    return some


def spelled(path: str) -> str:
    """Return a path as Spark's `_metadata.file_path` has it: as java.net.URI quotes the path of a URI.

    Source: "Identities" and "quote" in the documentation of java.net.URI: letters beyond ASCII stay as they are.
    """
    scheme, colon, rest = path.partition(":")
    if not colon or "/" in scheme:
        scheme, colon, rest = "", "", path
    return f"{scheme}{colon}{''.join(each if _stays(each) else quote(each) for each in rest)}"


def _stays(letter: str) -> bool:
    return letter in _LEGAL if letter.isascii() else letter.isprintable() and not letter.isspace()


def portions(files: Sequence[InputFile], count: int) -> list[list[InputFile]]:
    """Divide files, in their order, into at most so many portions of about the same size, none of them empty."""
    total = sum(file.length for file in files)
    found: list[list[InputFile]] = [[] for _ in range(count)]
    before = 0
    for number, file in enumerate(files):
        middle = before + file.length / 2
        place = int(middle * count / total) if total else number * count // len(files)
        found[min(place, count - 1)].append(file)
        before += file.length
    return [each for each in found if each]
