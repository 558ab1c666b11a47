"""Resolves a job's names to columns."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from sparktrain.data.identity import quoted


def meant(name: str, kind: StructType) -> str | None:
    """Return the SQL of the column, or the field of a struct (`struct.field`), that a name stands for; None if there is none.

    A column of exactly this name has priority over one that differs only in upper and lower case, as in Spark.
    """
    names = kind.fieldNames()
    if name in names:
        return quoted(name)
    found = next((each for each in names if each.casefold() == name.casefold()), None)
    if found is not None:
        return quoted(found)
    for at in (number for number, character in enumerate(name) if character == "."):
        outer = meant(name[:at], kind)
        field = next((field for field in kind.fields if quoted(field.name) == outer), None)
        if field is not None and isinstance(field.dataType, StructType):
            inner = meant(name[at + 1 :], field.dataType)
            if inner is not None:
                return f"{outer}.{inner}"
    return None


def select(frame: DataFrame, names: Sequence[str], *others: str) -> DataFrame:
    """Return a frame with the columns that names stand for, under these names, and others by their exact names.

    It takes one call, as a thousand Columns would take seconds.
    """
    return frame.selectExpr(*(_called(name, meant(name, frame.schema)) for name in names), *map(quoted, others))


def _called(name: str, sql: str | None) -> str:
    return quoted(name) if sql is None or sql == quoted(name) else f"{sql} AS {quoted(name)}"


def unknown(names: Sequence[str], schema: StructType, more: Sequence[str] = ()) -> list[str]:
    """Return those of the names that stand for no column.

    Args:
        more: columns that there will be in addition to the schema's.
    """
    known = {name.casefold() for name in more}
    return [name for name in names if name.casefold() not in known and meant(name, schema) is None]
