"""The columns that a job's names mean."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from sparktrain.data.identity import quoted


def meant(name: str, kind: StructType) -> str | None:
    """The SQL of the column, or of the field of a struct (`struct.field`), that a name means; None where there is none.

    A column of exactly this name comes first, then one that differs in upper and lower case alone, as Spark has it.
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
    """The columns that names mean, called by these names, and others by exact ones.

    All of them in one call: a Column each would take seconds for a thousand.
    """
    return frame.selectExpr(*(_called(name, meant(name, frame.schema)) for name in names), *map(quoted, others))


def _called(name: str, sql: str | None) -> str:
    return quoted(name) if sql is None or sql == quoted(name) else f"{sql} AS {quoted(name)}"


def unknown(names: Sequence[str], schema: StructType, more: Sequence[str] = ()) -> list[str]:
    """Those of the names that mean no column.

    Args:
        more: columns that there will be beside the schema's.
    """
    known = {name.casefold() for name in more}
    return [name for name in names if name.casefold() not in known and meant(name, schema) is None]
