"""The source of a job's rows, and what is done to them before anything is fitted."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from sparktrain.config.kinds import Args, Function, Paths, Section, Text


class RowSource(Section):
    """The rows: exactly one of `path`, `table` and `sql`, and their preparation."""

    SOURCES: ClassVar[tuple[str, ...]] = ("path", "table", "sql")

    path: Paths | None = None
    """The files: a URL or a list of URLs, such as hdfs:///data/flights."""
    table: Text | None = None
    """A table in Spark's catalog."""
    sql: Text | None = None
    """A query in Spark SQL."""
    format: Text = "parquet"
    """The files' format: parquet, orc, avro, csv, json, tfrecord, or any other that Spark has a reader for, such as text,
    binaryFile, libsvm, or delta with its package."""
    options: dict[str, StrictStr | StrictInt | StrictFloat | StrictBool] = {}
    """Options of Spark's reader for the format, such as {header: true} for csv."""
    ddl: Text | None = Field(None, alias="schema")
    """The files' columns and types as Spark's DDL, such as "id BIGINT, text STRING"; not for parquet, orc and avro, whose files
    have them. Without it, they are inferred from the files."""
    where: Text | None = None
    """A SQL condition; only rows that fulfil it are kept."""
    preprocess: Function | None = None
    """A function `DataFrame, **args -> DataFrame`, run on the executors."""
    args: Args = {}
    """Keyword arguments of `preprocess`."""
    corrupt: Literal["fail", "skip"] = "fail"
    """What to do with files and records that can't be read: fail, or skip and count them."""

    @property
    def schema(self) -> str | None:  # type: ignore[override]  # see below
        """The files' columns and types as Spark's DDL. (Replaces pydantic's deprecated BaseModel.schema.)"""
        return self.ddl
