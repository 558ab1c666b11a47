"""Reads rows from files, a table or a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, cast

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from sparktrain.data import avro, tfrecord
from sparktrain.data.damage import CORRUPT_RECORD, set_aside
from sparktrain.data.errors import ADVICE, InputError, MissingSource, condition_of, explain, first_line
from sparktrain.data.files import InputFile, list_files, read_start
from sparktrain.data.records import read_records, told

_TEXT = ("csv", "json")
_COUNTED = ("parquet", "orc")  # formats whose files record their number of rows
_PROBED = 100  # files that are tried one by one to find the columns
_START = 32 << 20  # bytes at a file's start that must contain an Avro header


@dataclass(frozen=True)
class Source:
    """Rows from a source.

    Attributes:
        frame: the rows, as a lazy frame.
        key: the configuration's key that names them, such as `data.path`.
        files: files that are read without Spark's knowledge.
        notes: returns notes on what was skipped so far.
        left_out: damaged files that were left out, as Spark names them.
    """

    frame: DataFrame
    key: str
    files: list[InputFile] = field(default_factory=list)
    notes: Callable[[], list[str]] = list
    left_out: Sequence[str] = ()


def read_table(spark: SparkSession, table: str | None, sql: str | None) -> Source:
    """Return the rows of a table in Spark's catalog, or of a query: exactly one of them is given.

    Raises:
        InputError: there is no such table, or the query is invalid.
    """
    key = "data.table" if table is not None else "data.sql"
    try:
        if table is not None:
            return Source(spark.table(table), key)
        assert sql is not None
        return Source(spark.sql(sql), key)
    except (AnalysisException, ParseException) as error:
        hint = ""
        if condition_of(error) == "TABLE_OR_VIEW_NOT_FOUND" and spark.conf.get("spark.sql.catalogImplementation") != "hive":
            hint = (
                " This session doesn't use a Hive metastore. For a table in one, submit with --conf "
                "spark.sql.catalogImplementation=hive and the cluster's hive-site.xml in SPARK_CONF_DIR or HADOOP_CONF_DIR."
            )
        raise MissingSource(f"{key}: {table or sql!r} can't be read: {first_line(error)}{hint}") from error


def read_files(
    spark: SparkSession,
    paths: Sequence[str],
    format: str,
    *,
    options: Mapping[str, Any] | None = None,
    schema: str | None = None,
    skip: bool = False,
    key: str = "data.path",
) -> Source:
    """Return the rows of files.

    Args:
        spark: the session.
        paths: files, folders or patterns.
        format: parquet, orc, avro, csv, json, tfrecord, or another that Spark has a reader for.
        options: options of Spark's reader; none for avro and tfrecord.
        schema: columns and types as Spark's DDL; without it they are found from the files.
        skip: whether to skip and count files and records that can't be read.
        key: the configuration's key that names the files.

    Raises:
        InputError: there are no files, or they can't be read in this format.
    """
    options = dict(options or {})
    columns = None if schema is None else _parsed(schema)
    if format in ("avro", "tfrecord"):
        return _read_records(spark, paths, format, options, columns, skip, key)
    try:
        return _read_native(spark, list(paths), format, options, columns, skip, key)
    except (PySparkException, Py4JJavaError) as error:
        raise explain(error) or _about(spark, paths, format, key, error) from error


def _about(spark: SparkSession, paths: Sequence[str], format: str, key: str, error: Exception) -> InputError:
    """Return an error that names the file whose columns can't be found, which ORC's errors don't."""
    reason = f"can't be read as {format}: {first_line(error)}"
    if condition_of(error) == "DATA_SOURCE_NOT_FOUND":
        return MissingSource(
            f"data.format: Spark has no reader for {format!r}. Expected parquet, orc, avro, csv, json, tfrecord, or "
            "a format whose package was submitted, such as --packages io.delta:delta-spark_2.13:VERSION."
        )
    if isinstance(error, AnalysisException) or format in _TEXT:
        return InputError(f"{key}: {', '.join(paths)} {reason}")
    for file in list_files(spark, paths)[:_PROBED]:
        try:
            spark.read.format(format).load(file.path)
        except (PySparkException, Py4JJavaError) as cause:
            return InputError(f"{file.path} can't be read as {format}: {first_line(cause)}. {ADVICE}")
    return InputError(f"{key}: {', '.join(paths)} {reason}. {ADVICE}")


def _parsed(schema: str) -> StructType:
    try:
        return cast(StructType, StructType.fromDDL(schema))
    except (PySparkException, Py4JJavaError) as error:
        raise InputError(
            f"data.schema: {schema!r} is no list of columns and types: {first_line(error)} "
            "Expected Spark's DDL, such as 'id BIGINT, text STRING'."
        ) from error


def _read_native(
    spark: SparkSession, paths: list[str], format: str, options: dict[str, Any], schema: StructType | None, skip: bool, key: str
) -> Source:
    if format in _TEXT and not skip:
        options.setdefault("mode", "FAILFAST")
    if format == "csv" and schema is None:
        options.setdefault("inferSchema", True)

    def load(columns: StructType | None, some: Sequence[str] = paths, **more: Any) -> DataFrame:
        reader = spark.read.format(format).options(**({"ignoreCorruptFiles": False} | options | more))
        return (reader if columns is None else reader.schema(columns)).load(list(some))

    if not skip:
        return Source(load(schema), key)
    if schema is None:
        schema = _found_schema(spark, load, paths)
    if format in _TEXT:
        schema = StructType([one for one in schema.fields if one.name != CORRUPT_RECORD]).add(CORRUPT_RECORD, "string")
        permissive = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT_RECORD}
    else:
        permissive = {}
    tolerant = load(schema, ignoreCorruptFiles=True) if format in _COUNTED else None
    frame, notes, left_out = set_aside(load(schema, **permissive), tolerant)
    return Source(frame, key, notes=lambda: notes, left_out=left_out)


def _found_schema(spark: SparkSession, load: Callable[..., DataFrame], paths: list[str]) -> StructType:
    """Return the columns from the first file that can be read: Spark itself reads one file, or needs all."""
    more = {"columnNameOfCorruptRecord": CORRUPT_RECORD}
    try:
        return load(None, **more).schema
    except (PySparkException, Py4JJavaError) as error:
        for file in list_files(spark, paths)[:_PROBED]:
            roots = [path for path in paths if file.path.startswith(path.rstrip("/") + "/")]
            base = {"basePath": max(roots, key=len)} if roots else {}
            try:
                return load(None, [file.path], **more, **base).schema
            except (PySparkException, Py4JJavaError):
                continue
        raise error


def _read_records(
    spark: SparkSession,
    paths: Sequence[str],
    format: str,
    options: Mapping[str, Any],
    schema: StructType | None,
    skip: bool,
    key: str,
) -> Source:
    if options:
        raise InputError(
            f"data.options: there are none for {format}, but {dict(options)} came. Files whose names end in .gz are unpacked."
        )
    files = list_files(spark, paths)
    reader = avro if format == "avro" else tfrecord
    if schema is None:
        schema = _first_schema(spark, files, reader, skip)
    if format == "tfrecord":
        tfrecord.check_schema(schema)
    frame, tally = read_records(spark, files, schema, reader.decode, skip)
    return Source(frame, key, files, lambda: told(tally.value))


def _first_schema(spark: SparkSession, files: list[InputFile], reader: ModuleType, skip: bool) -> StructType:
    refused: InputError | None = None
    for file in files:
        if not file.length:
            continue
        try:
            gzipped = file.path.endswith(".gz")
            size = _START if reader is avro else tfrecord.first_size(read_start(spark, file.path, 12, gzipped))
            return reader.infer(read_start(spark, file.path, max(size, 12), gzipped), file.path)
        except InputError as error:
            refused = refused or error
            if not skip:
                break
    raise refused or InputError("the columns can't be found: all files are empty. Give them with data.schema.")
