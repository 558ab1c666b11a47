"""The rules of a source of rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from sparktrain.config.errors import Problem, show
from sparktrain.config.rules.rule import among, rule
from sparktrain.config.source import RowSource


@rule(RowSource, "path", "table", "sql", "prepared")
def _one_source(data: RowSource) -> Iterator[Problem]:
    yield from among("data", data, data.SOURCES, needed=False)


@rule(RowSource, "path", "table", "sql", "prepared", whole=True)
def _some_source(data: RowSource) -> Iterator[Problem]:
    if _named(data) is None:
        yield Problem(
            "data.path",
            "nothing came",
            f"exactly one of {', '.join(f'data.{name}' for name in data.SOURCES)}",
            "name the source of the rows, such as hdfs:///data/flights",
        )


def _named(data: RowSource) -> str | None:
    return next((name for name in data.SOURCES if getattr(data, name) is not None), None)


@rule(RowSource, "path", "table", "sql", "prepared", "options", "schema", "format")
def _reader(data: RowSource) -> Iterator[Problem]:
    source = _named(data)
    elsewhere = source not in (None, "path")
    for name, value in (("options", data.options), ("schema", data.schema)):
        if value and elsewhere:
            yield Problem(f"data.{name}", f"came with data.{source}", "data.path, whose files it describes", "remove it")
    if data.schema and not elsewhere and data.format in ("parquet", "orc", "avro"):
        yield Problem("data.schema", f"came with data.format: {data.format}", "a format whose files have no schema", "remove it")


_FORMATS = ("parquet", "orc", "avro", "csv", "json", "tfrecord", "text", "xml", "binaryFile", "image", "libsvm", "delta")


@rule(RowSource, "format")
def _format(data: RowSource) -> Iterator[Problem]:
    """Spark has readers for more formats, so only what looks like a typing error is refused."""
    name = data.format
    if name == "jdbc":
        yield Problem(
            "data.format",
            "jdbc came, which has no files",
            "a table of a JDBC catalog",
            "name it in data.table, such as warehouse.sales.flights, with --conf spark.sql.catalog.warehouse="
            "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog and …warehouse.url",
        )
    known = {each.casefold(): each for each in _FORMATS}
    close = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.75)
    if name not in _FORMATS and close:
        yield Problem(
            "data.format", f"{show(name)} came", "a format that Spark has a reader for", f"did you mean {known[close[0]]}?"
        )


@rule(RowSource, "preprocess", "args", whole=True)
def _preprocess_args(data: RowSource) -> Iterator[Problem]:
    if data.args and data.preprocess is None:
        yield Problem(
            "data.args",
            "came without data.preprocess",
            "data.preprocess, whose arguments they are",
            "name the function, or remove them",
        )
