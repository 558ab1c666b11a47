"""Reads some rows of local files without Spark, with a reader for each format."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.orc
import pyarrow.parquet
from pyspark.sql.types import ArrayType, BinaryType, FloatType, LongType, StringType, StructField

from sparktrain.data import avro, tfrecord
from sparktrain.data.records import Damage
from sparktrain.init.choices import InitError

_TEXT = 64 << 20  # bytes of a text file that are read, counted after decompression
_ROWS_BYTES = 64 << 20  # bytes of the rows that are read from one Parquet file
_FEWEST = 100  # rows that are read from it at least, however large they are
_LABELS = 5_000_000  # values of a label that are read
_SUFFIXES = {
    "parquet": ("parquet", "parq", "pq"),
    "orc": ("orc",),
    "csv": ("csv", "tsv"),
    "json": ("json", "jsonl", "ndjson"),
    "avro": ("avro",),
    "tfrecord": ("tfrecord", "tfrecords"),
}


class NeedsSpark(Exception):
    """Raised for files that pyarrow can't read and Spark can.

    Args:
        options: the options that Spark's reader needs for them.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__("these files can only be read with Spark")
        self.options = options


@dataclass(frozen=True)
class Found:
    """Some rows of a few files, and what Spark needs to know to read the files in the same way.

    Attributes:
        rows: the rows.
        labels: the label's values in more rows than these; None if they were not read.
        options: the options of Spark's reader.
        schema: the schema as Spark's DDL; None if the files have their own.
    """

    rows: pa.Table
    labels: pa.ChunkedArray | None = None
    options: dict[str, Any] = field(default_factory=dict)
    schema: str | None = None


def by_name(name: str) -> str:
    """Return the format that a file's name stands for; parquet if it stands for none."""
    parts = Path(name).name.lower().removesuffix(".gz").split(".")[1:]
    return next((format for format, suffixes in _SUFFIXES.items() for part in reversed(parts) if part in suffixes), "parquet")


def of_file(path: Path) -> str:
    """Return a file's format, recognised by its first bytes, else by its name."""
    with _open(path) as file:
        start = file.read(4096)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"ORC"):
        return "orc"
    if start.startswith(b"Obj\x01"):
        return "avro"
    if tfrecord.first_size(start[:12]):
        return "tfrecord"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] in (b"{", b"["):
        return "json"
    return by_name(path.name) if b"\0" in start or by_name(path.name) != "parquet" else "csv"


def _open(path: Path) -> io.BufferedIOBase:
    """Open a file for reading its bytes, decompressed if it is a .gz file."""
    return gzip.open(path) if path.name.endswith(".gz") else open(path, "rb")


def _parquet(files: Sequence[Path], label: str, rows: int) -> Found:
    opened = [pyarrow.parquet.ParquetFile(path) for path in files]
    tables = []
    for file in opened:
        bytes_of_all = sum(file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups))
        most = min(rows // len(opened), max(_FEWEST, _ROWS_BYTES * file.metadata.num_rows // max(bytes_of_all, 1)))
        batches = [next(file.iter_batches(most))] if file.metadata.num_rows else []
        tables.append(pa.Table.from_batches(batches, file.schema_arrow))
    labels: list[pa.Table] = []
    for file in opened:
        if label in file.schema_arrow.names and not pa.types.is_nested(file.schema_arrow.field(label).type):
            for batch in file.iter_batches(65536, columns=[label]):
                if sum(map(len, labels)) >= _LABELS:
                    break
                labels.append(pa.table(batch))
    return Found(_concatenated(tables), _concatenated(labels)[label] if labels else None)


def _orc(files: Sequence[Path], label: str, rows: int) -> Found:
    opened = [pyarrow.orc.ORCFile(path) for path in files]
    tables = [pa.Table.from_batches([file.read_stripe(0).slice(0, rows // len(opened))]) for file in opened if file.nstripes]
    labels: list[pa.Table] = []
    for file in opened:
        if label in file.schema.names and file.nstripes and sum(map(len, labels)) < _LABELS:
            labels.append(file.read(columns=[label]))
    return Found(_concatenated(tables), _concatenated(labels)[label] if labels else None)


def _json(files: Sequence[Path], label: str, rows: int) -> Found:
    tables = []
    for path in files:
        text = _first_lines(path)
        if text.lstrip()[:1] == b"[":
            raise NeedsSpark({"multiLine": True})
        if text.strip():
            tables.append(pyarrow.json.read_json(io.BytesIO(text), pyarrow.json.ReadOptions(block_size=len(text) + 1)))
    return _spread(tables, label, rows)


def _csv(files: Sequence[Path], label: str, rows: int) -> Found:
    texts = [text for text in map(_first_lines, files) if text.strip()]
    if not texts:
        return Found(pa.table({}))
    head = texts[0].splitlines()[0].decode(errors="replace").lstrip("\ufeff")
    delimiter = max(",;\t|", key=head.count)
    names = next(csv.reader([head], delimiter=delimiter))
    header = not (label.startswith("_c") and label[2:].isdigit() and label not in names)
    # Spark reads only empty values as nulls: it needs an option for another word, such as NA
    null = _null_word(texts[0], delimiter)
    convert = pyarrow.csv.ConvertOptions(null_values=["", null] if null else [""], strings_can_be_null=True)
    if not header:
        names = [f"_c{number}" for number in range(len(names))]
    reading = [pyarrow.csv.ReadOptions(block_size=len(text) + 1, column_names=None if header else names) for text in texts]
    parsing = pyarrow.csv.ParseOptions(delimiter=delimiter)
    tables = [pyarrow.csv.read_csv(io.BytesIO(text), options, parsing, convert) for text, options in zip(texts, reading)]
    options = {"header": header, **({"sep": delimiter} if delimiter != "," else {}), **({"nullValue": null} if null else {})}
    found = _spread(tables, label, rows)
    return Found(found.rows, found.labels, options)


def _null_word(text: bytes, delimiter: str) -> str | None:
    """Return the word that stands for missing values in a CSV text, the most frequent one; None if there is none."""
    words = {"NA", "N/A", "null", "NULL", "None", "nan", "NaN", "\\N", "?"}
    lines = csv.reader(io.StringIO(text[: 1 << 20].decode(errors="replace")), delimiter=delimiter)
    counts = Counter(value for line in lines for value in line if value in words)
    return counts.most_common(1)[0][0] if counts else None


def _avro(files: Sequence[Path], label: str, rows: int) -> Found:
    records: list[dict[str, Any]] = []
    for number, path in enumerate(files, start=1):
        with _open(path) as file:
            start = file.read(32 << 20)
            file.seek(0)
            schema = avro.infer(start, str(path))
            records += _first(avro.decode(file, str(path), schema), rows * number // len(files) - len(records), path)
    return Found(pa.Table.from_pylist(records))


def _first(decoded: Any, most: int, path: Path) -> list[dict[str, Any]]:
    """Return the first records of a decoded file.

    Raises:
        InitError: one of them is damaged.
    """
    found: list[dict[str, Any]] = []
    for record in decoded:
        if len(found) >= most:
            break
        if isinstance(record, Damage):
            raise InitError(f"record {record.number} of {path} can't be read: {record.reason}. Remove or repair the file.")
        found.append(record)
    return found


def _tfrecord(files: Sequence[Path], label: str, rows: int) -> Found:
    """Read rows of tf.train.Example; a feature becomes an array if any of the records has several values of it."""
    example = tfrecord.example_class()()
    records: list[dict[str, tuple[str, list[Any]]]] = []
    for number, path in enumerate(files, start=1):
        with _open(path) as file:
            for payload in _first(tfrecord.payloads(file), rows * number // len(files) - len(records), path):
                example.ParseFromString(payload)
                lists = {name: feature.WhichOneof("kind") for name, feature in example.features.feature.items()}
                records.append(
                    {
                        name: (list_name, list(getattr(example.features.feature[name], list_name).value))
                        for name, list_name in lists.items()
                        if list_name is not None
                    }
                )
    fields = []
    for name in sorted({name for record in records for name in record}):
        list_names = {record[name][0] for record in records if name in record}
        values = [value for record in records if name in record for value in record[name][1]]
        longest = max(len(record[name][1]) for record in records if name in record)
        one = (
            FloatType()
            if "float_list" in list_names
            else LongType()
            if "int64_list" in list_names
            else StringType()
            if all(map(tfrecord._is_text, values))
            else BinaryType()
        )
        fields.append(StructField(name, one if longest <= 1 else ArrayType(one)))
    decoded = [{field.name: _as_value(record.get(field.name, ("", []))[1], field) for field in fields} for record in records]
    ddl = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in fields)
    return Found(pa.Table.from_pylist(decoded), schema=ddl)


def _as_value(values: list[Any], column: StructField) -> Any:
    """Return a feature's values as the column has them: a list, the only value, or None."""
    kind = column.dataType
    element = kind.elementType if isinstance(kind, ArrayType) else kind
    if isinstance(element, StringType):
        values = [value.decode() for value in values]
    return (values or None) if isinstance(kind, ArrayType) else values[0] if values else None


def _first_lines(path: Path) -> bytes:
    """Return the first lines of a text file, 64 MiB at most."""
    with _open(path) as file:
        text = file.read(_TEXT)
    return text if len(text) < _TEXT else text[: text.rfind(b"\n") + 1]


def _spread(tables: Sequence[pa.Table], label: str, rows: int) -> Found:
    """Return about `rows` rows, spread evenly over all, with the label's values of all rows."""
    table = _concatenated(tables)
    labels = table[label] if label in table.column_names else None
    step = max(table.num_rows // rows, 1)
    return Found(table.take(list(range(0, table.num_rows, step))) if step > 1 else table, labels)


def _concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


READERS: dict[str, Callable[[Sequence[Path], str, int], Found]] = {
    "parquet": _parquet,
    "orc": _orc,
    "csv": _csv,
    "json": _json,
    "avro": _avro,
    "tfrecord": _tfrecord,
}
