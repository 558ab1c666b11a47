"""`sparktrain init`: what it chooses by the columns' types and values, how it reads each format, and what it writes."""

from __future__ import annotations

import ast
import datetime
import shlex

import fastavro
import numpy
import pyarrow as pa
import pyarrow.csv
import pyarrow.orc
import pyarrow.parquet
import pytest

from sparktrain.cli.command import main
from sparktrain.config import load
from sparktrain.data.tfrecord import _masked, example_class
from sparktrain.init.choices import InitError, choose, choose_target
from sparktrain.init.command import report
from sparktrain.init.data_sample import read_sample
from sparktrain.init.templates import python, yaml

ROWS = 200


def table(**columns) -> pa.Table:
    random = numpy.random.default_rng(7)
    usual = {"distance": random.normal(1000, 300, ROWS), "late": random.integers(0, 2, ROWS)}
    return pa.table({**usual, **columns})


def column(values, kind=None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    "values, task, classes, outputs",
    [
        ([True, False, None] * 20, "binary", None, 1),
        ([0, 1] * 20, "binary", None, 1),
        ([0.0, 1.0, float("nan")] * 20, "binary", None, 1),
        ([1, 2] * 20, "binary", (1, 2), 1),
        (["no", "yes"] * 20, "binary", ("no", "yes"), 1),
        ([0, 1, 2] * 20, "classes", None, 3),
        ([2.0, 1.0, 0.0] * 20, "classes", None, 3),
        ([5, 3, 1] * 20, "classes", (1, 3, 5), 3),
        (["c", "a", "b"] * 20, "classes", ("a", "b", "c"), 3),
        (list(range(40)), "regression", None, 1),
        ([1.5, 2.5] * 20, "regression", None, 1),
        ([-3, 400000, *list(range(38))], "regression", None, 1),
    ],
)
def test_the_label_s_type_and_values_say_what_is_predicted(values, task, classes, outputs):
    target = choose_target("y", column(values))
    assert (target.task, target.classes, target.outputs) == (task, classes, outputs)


@pytest.mark.parametrize(
    "values, kind, told",
    [
        ([None] * 5, pa.int32(), "null in all rows"),
        ([1] * 5, None, "1 in all 5 rows"),
        ([f"row {n}" for n in range(50)], None, "50 different strings in 50 rows"),
        ([datetime.date(2026, 1, n + 1) for n in range(5)], None, "date32"),
        ([[1.0]] * 5, None, "list"),
    ],
)
def test_values_that_can_t_be_a_label_are_refused(values, kind, told):
    with pytest.raises(InitError, match=told):
        choose_target("y", column(values, kind))


def test_each_column_is_taken_by_its_type_and_values_or_left_out_with_the_reason():
    random = numpy.random.default_rng(7)
    vector = pa.StructArray.from_arrays(
        [
            pa.array([1] * ROWS, pa.int8()),
            pa.array([None] * ROWS, pa.int32()),
            pa.array([None] * ROWS, pa.list_(pa.int32())),
            pa.array([[1.0, 2.0, 3.0]] * ROWS),
        ],
        ["type", "size", "indices", "values"],
    )
    found = choose(
        table(
            carrier=["AA", "UA", None, ""] * (ROWS // 4),
            tail=[f"N{n % 180}" for n in range(ROWS)],
            text=["the plane was very late"] * 199 + ["so it was with us"],
            flag=[True, False] * (ROWS // 2),
            tags=[["a"] * (n % 4) for n in range(ROWS)],
            clicks=[[1] * (n % 3) for n in range(ROWS)],
            past=[list(random.normal(size=n % 5)) for n in range(ROWS)],
            x=[[1.0, 2.0]] * ROWS,
            v=vector,
            steps=[[[1.0, 2.0]] * (n % 3) for n in range(ROWS)],
            number=list(range(ROWS)),
            trip_id=[n * 7 for n in range(ROWS)],
            key=[f"k{n}" for n in range(ROWS)],
            one=["x"] * ROWS,
            none=pa.array([None] * ROWS, pa.float64()),
            at=[datetime.datetime(2026, 1, 1)] * ROWS,
            ragged=[[[1.0], [1.0, 2.0]]] * ROWS,
            raw=[b"x"] * ROWS,
            inner=[{"a": 1}] * ROWS,
            **{"odd name": random.normal(size=ROWS), "class": random.normal(size=ROWS), "2nd": random.normal(size=ROWS)},
        ),
        "late",
    )
    kinds = {each.column: (each.kind, each.shape) for each in found.features}
    assert kinds == {
        "distance": ("number", ()),
        "carrier": ("category", ()),
        "tail": ("category", ()),
        "text": ("text", (5,)),
        "flag": ("number", ()),
        "tags": ("items", (3,)),
        "clicks": ("items", (2,)),
        "past": ("sequence", (4,)),
        "x": ("vector", (2,)),
        "v": ("vector", (3,)),
        "steps": ("sequence", (2, 2)),
        "odd name": ("number", ()),
        "class": ("number", ()),
        "2nd": ("number", ()),
    }
    assert next(each for each in found.features if each.column == "carrier").values == ("AA", "UA")
    assert [each.name for each in found.features][-3:] == ["odd_name", "class_", "x_2nd"]
    reasons = {
        "number": "identifier",
        "trip_id": "identifier",
        "key": "identifier",
        "one": "one value",
        "none": "null in all",
        "at": "a time",
        "ragged": "different lengths",
        "raw": "bytes",
        "inner": "`inner.a`",
    }
    assert found.left_out.keys() == reasons.keys()
    assert all(reasons[name] in why for name, why in found.left_out.items())


def test_no_two_columns_of_what_prepare_selects_have_one_name():
    random = numpy.random.default_rng(7)
    rows = pa.table(
        {"odd name": random.normal(size=ROWS), "Odd_Name": random.normal(size=ROWS), "odd-name": [0, 1] * (ROWS // 2)}
    )
    assert [each.name for each in choose(rows, "odd-name").features] == ["odd_name", "Odd_Name_2"]
    assert [each.name for each in choose(rows.rename_columns(["odd name", "x", "odd_name"]), "odd_name").features] == [
        "odd_name_2",
        "x",
    ]


def test_what_is_written_is_a_job_and_a_module_that_belong_together(tmp_path):
    rows = table(
        carrier=["AA", "UA"] * (ROWS // 2),
        kind=["b", "a"] * (ROWS // 2),
        past=[[1.0] * (n % 5) for n in range(ROWS)],
        **{"off": [float(n % 7) for n in range(ROWS)], 'odd "name"': [float(n % 9) for n in range(ROWS)]},
    )
    pyarrow.parquet.write_table(rows, tmp_path / "my rows.parquet")
    seen = read_sample(str(tmp_path / "my rows.parquet"), "kind")
    choices = choose(seen.rows, "kind", seen.labels)
    (tmp_path / "mine.yaml").write_text(yaml(choices, seen, "mine", "hdfs:///models/my models", "single"))
    job = load(tmp_path / "mine.yaml", [])
    assert job.data.path == [f"file://{tmp_path}/my rows.parquet"] and job.data.classes == ["a", "b"]
    module = ast.parse(python(choices, seen.url))
    functions = {
        node.name: [argument.arg for argument in node.args.args] for node in module.body if isinstance(node, ast.FunctionDef)
    }
    assert functions == {"prepare": ["frame"], "build_model": ["units", "learning_rate"]} and set(job.model.args) <= {"units"}
    assert [spec.name for spec in job.data.inputs] == ["numbers", "carrier", "past"]
    assert [spec.column for spec in job.data.inputs[0].columns] == ["distance", "late", "off", "odd_name"]
    assert "Classes: a, b; the model predicts the probability of the second" in report(choices, seen, ["mine.yaml", "mine.py"])[1]


def test_every_format_is_read_without_spark(tmp_path):
    plain = pa.table(
        {
            "a": [float(n % 7) for n in range(50)],
            "word": [["x", "y"][n % 2] for n in range(50)],
            "late": [n % 2 for n in range(50)],
        }
    )
    (tmp_path / "parquet").mkdir()
    for number in range(7):  # of which four are looked at
        pyarrow.parquet.write_table(plain, tmp_path / "parquet" / f"part-{number}")
    (tmp_path / "parquet" / "_SUCCESS").touch()
    pyarrow.orc.write_table(plain, tmp_path / "rows.orc")
    (tmp_path / "rows.json").write_text("".join(f'{{"a": {n % 7}.5, "word": "x{n % 2}", "late": {n % 2}}}\n' for n in range(50)))
    (tmp_path / "rows.txt").write_text(
        "a;word;late\n" + "".join(f"{'NA' if n == 3 else n % 7};x{n % 2};{n % 2}\n" for n in range(50))
    )
    (tmp_path / "bare.csv").write_text("".join(f"{n % 7},x{n % 2},{n % 2}\n" for n in range(50)))
    fields = [{"name": "a", "type": "double"}, {"name": "word", "type": "string"}, {"name": "late", "type": "int"}]
    with open(tmp_path / "rows.avro", "wb") as file:
        fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, plain.to_pylist())
    with open(tmp_path / "rows.tfrecord", "wb") as file:
        for row in plain.to_pylist():
            example = example_class()()
            example.features.feature["a"].float_list.value.extend(
                [row["a"]] * (1 + row["late"])
            )  # the first has one value, others two
            example.features.feature["word"].bytes_list.value.append(row["word"].encode())
            example.features.feature["late"].int64_list.value.append(row["late"])
            payload = example.SerializeToString()
            length = len(payload).to_bytes(8, "little")
            file.write(length + _masked(length).to_bytes(4, "little") + payload + _masked(payload).to_bytes(4, "little"))
    expected = {
        "parquet": ("parquet", {}),
        "rows.orc": ("orc", {}),
        "rows.json": ("json", {}),
        "rows.avro": ("avro", {}),
        "rows.txt": ("csv", {"header": True, "sep": ";", "nullValue": "NA"}),
        "rows.tfrecord": ("tfrecord", {}),
    }
    for name, (format, options) in expected.items():
        seen = read_sample(str(tmp_path / name), "late")
        assert (seen.format, seen.options) == (format, options)
        found = choose(seen.rows, "late", seen.labels)
        kinds = {each.column: each.kind for each in found.features}
        assert kinds == {"a": "sequence" if name == "rows.tfrecord" else "number", "word": "category"}, name
        assert found.target.task == "binary"
    assert read_sample(str(tmp_path / "parquet"), "late").files == 7
    assert read_sample(str(tmp_path / "rows.tfrecord"), "late").schema == "`a` array<float>, `late` bigint, `word` string"
    assert read_sample(str(tmp_path / "bare.csv"), "_c2").rows.column_names == ["_c0", "_c1", "_c2"]


def test_init_writes_once_says_what_and_gives_the_next_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pyarrow.parquet.write_table(table(), "my rows.parquet")
    assert main(["init", "my rows.parquet", "--label", "late", "--engine", "single"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert any("late: 0 or 1, so a classification" in line for line in told)
    assert shlex.split(told[-1])[1:] == ["jobs/train.py", "--config", "my_rows.yaml", "--check"]
    assert main(["validate", "--config", "my_rows.yaml"]) == 0
    written = (tmp_path / "my_rows.py").read_text()
    assert main(["init", "my rows.parquet", "--label", "distance"]) == 2
    assert "my_rows.yaml exists already" in capsys.readouterr().err and (tmp_path / "my_rows.py").read_text() == written


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["rows.parquet", "--label", "lat"], "there is no column 'lat'. Did you mean 'late'?"),
        (["rows.parquet", "--label", "LATE"], "Did you mean 'late'?"),
        (["nowhere", "--label", "late"], "there is nothing at nowhere on this machine"),
        (["empty", "--label", "late"], "has no files with rows"),
        (["rows.parquet", "--label", "late", "--engine", "horovd"], "Did you mean horovod?"),
        (["rows.parquet", "--label", "late", "--to", "jobs/my-job"], "--to jobs/my_job"),
        (["rows.parquet", "--label", "late", "--to", "numpy"], "Python has a module 'numpy' already"),
        (["damaged.parquet", "--label", "late"], "can't be read as parquet"),
        (["label.parquet", "--label", "late"], "no column can be a feature"),
    ],
)
def test_what_can_t_be_a_job_is_refused_with_what_to_do(tmp_path, capsys, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    pyarrow.parquet.write_table(table(), "rows.parquet")
    pyarrow.parquet.write_table(table().select(["late"]), "label.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1" + b"x" * 100)
    (tmp_path / "empty").mkdir()
    assert main(["init", *arguments]) == 2
    assert told in capsys.readouterr().err and not list(tmp_path.glob("*.yaml"))
