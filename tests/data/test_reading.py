"""Reading files of every format, whole and damaged."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import fastavro
import pytest

from sparktrain.data import InputError, MissingColumn, MissingSource, damage, prepare
from sparktrain.data.files import InputFile, summarised
from sparktrain.storage import hadoop_settings, open_folder

pytestmark = pytest.mark.real

ROWS = [{"x": i / 2, "y": i % 3, "s": f"späť {i}", "v": [float(i), 1.0]} for i in range(60)]


@pytest.fixture(scope="module")
def folder(spark, tmp_path_factory):
    """The rows, 15 a file, in every format that Spark writes, in folders with a blank in their names."""
    folder = tmp_path_factory.mktemp("of files")
    rows = spark.sparkContext.parallelize([tuple(row.values()) for row in ROWS], 4)
    frame = spark.createDataFrame(rows, "x double, y int, s string, v array<double>").cache()
    for kind in ("parquet", "orc", "json"):
        frame.write.format(kind).save(f"file://{folder}/{kind}")
    frame.drop("v").write.option("header", True).csv(f"file://{folder}/csv")
    frame.unpersist()
    return folder


@pytest.fixture
def read(spark, section):
    def make(path, format, columns=("x", "y"), **words):
        features = list(columns[:-1] or columns)
        url = path if isinstance(path, str) else f"file://{path}"
        data = section(path=url, format=format, features=features, label=columns[-1], **words)
        return prepare(spark, data, seed=7)

    return make


def values(made, *names):
    return sorted((tuple(row[name] for name in names) for row in made.frame.collect()), key=str)


def broken(folder: Path, target: Path, at: slice, to: bytes) -> str:
    """Copy a folder, and put other bytes into one of its files. Hadoop's own checksums are left behind."""
    target.mkdir()
    files = sorted(file for file in folder.iterdir() if file.name.startswith("part-"))
    for number, file in enumerate(files):
        data = bytearray(file.read_bytes())
        if number == 1:
            data[at] = to
        (target / file.name).write_bytes(data)
    return files[1].name


@pytest.mark.parametrize(
    "format, words",
    [
        ("parquet", {}),
        ("orc", {}),
        ("json", {}),
        ("csv", {"options": {"header": True}}),
        ("csv", {"options": {"header": True}, "schema": "x double, y int, s string"}),
    ],
)
def test_the_formats_of_spark_are_read_with_the_lineage_of_their_files(folder, read, format, words):
    made = read(folder / format, format, ("x", "s", "y"), **words)
    assert values(made, "x", "s", "y") == sorted(((r["x"], r["s"], r["y"]) for r in ROWS), key=str)
    files = {f"file:{file}": file.stat() for file in (folder / format).glob("part-*")}
    assert {one["path"]: one["length"] for one in made.inputs} == {path: stat.st_size for path, stat in files.items()}
    assert all(abs(one["modified"] / 1000 - files[one["path"]].st_mtime) < 1 for one in made.inputs)


def test_tables_and_queries_are_read_and_files_behind_them_known(spark, folder, section):
    spark.read.parquet(f"file://{folder}/parquet").createOrReplaceTempView("flights")
    for words in ({"table": "flights"}, {"sql": "SELECT * FROM flights WHERE x >= 0"}):
        made = prepare(spark, section(path=None, **words), seed=7)
        assert made.frame.count() == 60 and len(made.inputs) == 4
    for words in ({"table": "flihgts"}, {"sql": "SELEC 1"}):
        with pytest.raises(InputError, match=f"data.{next(iter(words))}.*can't be read"):
            prepare(spark, section(path=None, **words), seed=7)


def test_only_the_partitions_that_a_condition_leaves_are_inputs_and_all_files_count(spark, section, tmp_path):
    spark.range(40).selectExpr("id", "id % 2 AS y", "id % 4 AS day").repartition(1).write.partitionBy("day").parquet(
        f"file://{tmp_path}/days"
    )
    made = prepare(spark, section(path=f"file://{tmp_path}/days", features=["id"], where="day >= 2 AND id > 5"), seed=7)
    assert [Path(one["path"]).parent.name for one in made.inputs] == ["day=2", "day=3"]
    files = [InputFile(f"hdfs:///a/part-{number:03}", 10, number) for number in range(30)]
    described, notes = summarised(files, most=20)
    assert len(described) == 21 and described[-1]["path"] == "10 more files" and described[-1]["length"] == 100
    assert notes == ["the lineage names 20 of 30 input files"]
    files[25] = replace(files[25], modified=files[25].modified - 1)
    assert described[-1] != summarised(files, most=20)[0][-1]  # also where neither number nor sizes nor newest differ


def test_columns_go_by_names_as_spark_has_them_and_fields_of_structs_by_dots(spark, section):
    frame = spark.sql(
        "SELECT id AS Hour, named_struct('Temp', id / 2, 'in', named_struct('x', id)) AS weather, id % 2 AS late, "
        "id AS `a.b` FROM range(20)"
    )
    names = ["hour", "weather.temp", "Weather.in.x", "a.b"]
    made = prepare(
        spark,
        section(
            path=None,
            table="t",
            features=names,
            label="LATE",
            sample={"per_class": 4},
            validation={"fraction": 0.2, "by": "weather.in.x"},
        ),
        seed=7,
        frame=frame,
    )
    assert made.frame.columns[:5] == [*names, "LATE"] and made.rows == 8
    assert all(row[1] == row[0] / 2 and row[0] == row[2] == row[3] for row in made.frame.collect())
    with pytest.raises(MissingColumn, match="no column 'weather.rain'"):
        prepare(spark, section(features=["weather.rain"], label="late"), seed=7, frame=frame)


def test_formats_of_spark_s_are_read_and_unknown_ones_and_tables_are_refused_with_what_to_set(spark, read, tmp_path, section):
    (tmp_path / "in.svm").write_text("1 1:0.5 3:2\n0 2:1\n")
    made = read(tmp_path, "libsvm", ("features", "label"), options={"numFeatures": 3})
    assert sorted(row.features.toArray().tolist() for row in made.frame.collect()) == [[0, 1, 0], [0.5, 0, 2]]
    assert [Path(one["path"]).name for one in made.inputs] == ["in.svm"]
    with pytest.raises(MissingSource, match="no reader for 'iceberg'"):
        read(tmp_path, "iceberg")
    for words in ({"table": "wh.flights"}, {"sql": "SELECT * FROM wh.flights"}):
        with pytest.raises(MissingSource, match="spark.sql.catalogImplementation=hive"):
            prepare(spark, section(path=None, **words), seed=7)


@pytest.mark.slow
def test_validation_rows_of_a_path_of_their_own_are_prepared_alike(spark, folder, section):
    data = section(
        path=f"file://{folder}/parquet",
        validation={"path": [f"file://{folder}/parquet/part-0000[0-1]*"]},
        where="y > 0",
        features=["z"],
        sample={"per_class": 5},
    )
    made = prepare(spark, data, seed=7, preprocess=lambda frame: frame.selectExpr("y", "x * 2 AS z", "s"))
    assert made.validation_rows == 20 and made.rows == 10 and len(made.inputs) == 4
    assert made.frame.where("y = 0").isEmpty() and made.frame.count() == 30


@pytest.mark.parametrize("format", ["parquet", "avro"])
def test_what_is_not_there_is_named(read, tmp_path, format):
    with pytest.raises(InputError, match="nowhere"):
        read(tmp_path / "nowhere", format)


def write_tfrecords(folder: Path, example) -> None:
    """The records that TensorFlow wrote in two files, one packed; in a folder as Spark would leave it."""
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    (folder / "a.tfrecord").write_bytes(example)
    (folder / "b.tfrecord.gz").write_bytes(gzip.compress(example))


RECORDS = Path(__file__).with_name("three.tfrecord").read_bytes()  # see test_tfrecord.py


def test_tfrecord_files_are_read_with_columns_found_or_given(read, tmp_path):
    write_tfrecords(tmp_path / "records", RECORDS)
    made = read(tmp_path / "records", "tfrecord", ("floats", "raw", "text", "id"))
    expected = [([i + 0.5, i - 0.25], b"\xff\xfe" + bytes([i]), f"späť{i}", i - 1) for i in range(3)] * 2
    assert values(made, "floats", "raw", "text", "id") == sorted(expected, key=str)
    assert sorted(Path(one["path"]).name for one in made.inputs) == ["a.tfrecord", "b.tfrecord.gz"]
    made = read(tmp_path / "records", "tfrecord", ("floats", "id"), schema="id int, floats array<double>, more float")
    assert dict(made.frame.dtypes)["id"] == "int" and made.frame.count() == 6


@pytest.mark.slow
@pytest.mark.failures
def test_a_damaged_tfrecord_fails_with_its_file_and_record_or_is_counted(read, tmp_path, note_failure):
    write_tfrecords(tmp_path / "records", RECORDS[:150] + b"?" + RECORDS[151:])
    with pytest.raises(InputError, match=r"[ab]\.tfrecord\S*, record 2, can't be read: the checksum of its bytes"):
        read(tmp_path / "records", "tfrecord", ("floats", "id"), sample={"fraction": 0.9})
    made = read(tmp_path / "records", "tfrecord", ("floats", "id"), corrupt="skip")
    assert made.notes == [] and made.frame.count() == 4 and made.frame.count() == 4
    assert made.notes[0].startswith("data.corrupt: skip passed over 2 damaged records in 2 files, 0 of which")
    assert "a.tfrecord: 1 damaged records were skipped" in made.notes[1]
    note_failure("A corrupt TFRecord", "ends with file and record; with `data.corrupt: skip` it is left out and counted")


@pytest.mark.slow
def test_avro_files_are_read_with_their_types(read, tmp_path):
    described = {
        "type": "record",
        "name": "Row",
        "fields": [
            {"name": "x", "type": ["null", "double"]},
            {"name": "y", "type": "int"},
            {"name": "v", "type": {"type": "array", "items": "float"}},
            {"name": "m", "type": {"type": "map", "values": {"type": "map", "values": "long"}}},
            {"name": "when", "type": {"type": "int", "logicalType": "date"}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "t", "type": "string"}]}},
        ],
    }
    rows = [
        {
            "x": None if i == 3 else i / 2,
            "y": i,
            "v": [i, 0.5],
            "m": {"a": {"b": i}},
            "when": date(2024, 2, i + 1),
            "at": datetime(2024, 2, i + 1, 12, 30, tzinfo=UTC),
            "price": Decimal(i) / 4,
            "inner": {"t": f"ä{i}"},
        }
        for i in range(20)
    ]
    for name, some, codec in (("a", rows[:12], "deflate"), ("b", rows[12:], "snappy")):
        with open(tmp_path / f"{name}.avro", "wb") as stream:
            fastavro.writer(stream, described, some, codec=codec)
    made = read(tmp_path, "avro", ("x", "v", "m", "when", "at", "price", "inner", "y"))
    found = {row.y: row.asDict(recursive=True) for row in made.frame.collect()}
    for row in found.values():  # Spark's are of the session's time zone, which is this machine's
        row["at"] = row["at"].astimezone(UTC)
    assert [{name: found[i][name] for name in rows[0]} for i in range(20)] == rows
    data = (tmp_path / "a.avro").read_bytes()
    (tmp_path / "a.avro").write_bytes(data[:-30])
    with pytest.raises(InputError, match=r"a\.avro, record 1, can't be read"):
        read(tmp_path, "avro", sample={"fraction": 0.9})
    made = read(tmp_path, "avro", corrupt="skip")
    assert made.frame.count() == 8 and "1 files, 1 of which could not be read to their end" in made.notes[0]


@pytest.mark.failures
@pytest.mark.parametrize(
    "format, at, to",
    [("parquet", slice(-8, -4), b"\xff\xff\xff\x7f"), ("parquet", slice(20, 60), b"\xff" * 40), ("orc", slice(-1, None), b"")],
)
def test_a_damaged_file_fails_with_its_name_or_is_left_out_whole_and_named(folder, read, tmp_path, format, at, to, note_failure):
    name = broken(folder / format, tmp_path / "broken", at, to)
    with pytest.raises(InputError) as refused:
        read(tmp_path / "broken", format, sample={"fraction": 0.9})
    assert all(words in str(refused.value) for words in (name, "can't be read", "data.corrupt: skip"))
    made = read(tmp_path / "broken", format, corrupt="skip")
    assert made.frame.count() == 45
    assert made.notes[0].startswith("data.corrupt: skip left out 1 files") and name in made.notes[1]
    part = "" if format == "orc" else ", its end" if at.start < 0 else ", its middle"
    note_failure(f"A corrupt {format} file{part}", "ends with its name; with `data.corrupt: skip` it is left out whole and named")


@pytest.mark.parametrize("format", ["parquet", "orc"])
def test_all_damaged_files_are_found_without_reading_the_whole_ones_again(spark, read, tmp_path, format, monkeypatch):
    spark.range(4000).selectExpr("id AS x", "id % 3 AS y").repartition(16).write.format(format).save(
        f"file://{tmp_path}/{format}"
    )
    spark.range(0).selectExpr("id AS x", "id % 3 AS y").repartition(1).write.mode("append").format(format).save(
        f"file://{tmp_path}/{format}"
    )
    for file in (tmp_path / format).glob(".*.crc"):
        file.unlink()
    rows = dict(spark.read.format(format).load(f"file://{tmp_path}/{format}").groupBy("_metadata.file_name").count().collect())
    broken = sorted(rows)[:6]
    for number, name in enumerate(broken):
        file = tmp_path / format / name
        data = bytearray(file.read_bytes())
        if number % 2 or format == "orc":  # its end, where the rows are counted
            del data[-1:]
        else:
            data[10:60] = b"\xff" * 50
        file.write_bytes(data)
    passes = []
    suspects = damage._suspects
    monkeypatch.setattr(damage, "_suspects", lambda *given: passes.append(suspects(*given)) or passes[-1])
    made = read(tmp_path / format, format, corrupt="skip")
    assert made.frame.count() == sum(rows.values()) - sum(rows[name] for name in broken) and len(made.inputs) >= 10
    assert made.notes[0].startswith("data.corrupt: skip left out 6 files")
    assert {Path(name).name for name in passes[0]} >= set(broken) and len(passes[0]) <= 8


@pytest.mark.parametrize(
    "format, words, line",
    [
        ("csv", {"options": {"header": True}, "schema": "x double, y int, s string"}, b"zwei,1,b\n"),
        ("json", {}, b'{"x": 1.5, "y":\n'),
    ],
)
def test_a_damaged_line_fails_with_its_file_or_is_counted(folder, read, tmp_path, format, words, line):
    (tmp_path / "bad").mkdir()
    for file in (folder / format).glob("part-*"):
        (tmp_path / "bad" / file.name).write_bytes(file.read_bytes())
    with open(tmp_path / "bad" / file.name, "ab") as stream:
        stream.write(line * 2)
    with pytest.raises(InputError) as refused:
        read(tmp_path / "bad", format, sample={"fraction": 0.9}, **words)
    assert "corrupt: skip" in str(refused.value) and "alformed" in str(refused.value)
    made = read(tmp_path / "bad", format, corrupt="skip", **words)
    assert made.frame.count() == 60
    assert "left out 0 files, and 2 records of 1 other files" in made.notes[0] and file.name in made.notes[1]


def test_a_missing_column_of_files_is_named_before_they_are_read(folder, read):
    with pytest.raises(MissingColumn, match="no column 'labl'.*Its columns are: x, y, s, v"):
        read(folder / "parquet", "parquet", ("x", "labl"))


def test_options_that_a_format_has_none_of_are_refused(folder, read):
    with pytest.raises(InputError, match="data.options: there are none for tfrecord"):
        read(folder / "csv", "tfrecord", options={"header": True})


@pytest.mark.slow
def test_files_on_hdfs_are_read_by_the_executors_themselves(hdfs, spark, read, tmp_path):
    root = open_folder(f"{hdfs.uri}/reading", hadoop_settings())
    write_tfrecords(tmp_path / "records", RECORDS)
    root.upload(tmp_path / "records", "some records")
    with open(tmp_path / "a.avro", "wb") as stream:
        fastavro.writer(
            stream, {"type": "record", "name": "Row", "fields": [{"name": "x", "type": "int"}]}, [{"x": i} for i in range(10)]
        )
    root.upload(tmp_path / "a.avro", "avro/a.avro")
    spark.range(10).selectExpr("id AS x").write.parquet(f"{root.url}/parquet")
    made = read(f"{root.url}/some records", "tfrecord", ("floats", "id"))
    assert made.frame.count() == 6
    assert next((one["path"], one["length"]) for one in made.inputs) == (f"{root.url}/some records/a.tfrecord", 285)
    assert read(f"{root.url}/avro", "avro", ("x",)).frame.count() == 10
    made = read(f"{root.url}/parquet", "parquet", ("x",))
    assert sum(one["length"] for one in made.inputs) <= root.size("parquet") and made.frame.count() == 10
