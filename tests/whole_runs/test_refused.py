"""Rows and clusters that can't be trained on: what a user is told, through the driver."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from py4j.protocol import Py4JJavaError

import sparktrain
from sparktrain.cluster.executors.slots import ClusterRefused, NoSlots
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.config import Job
from sparktrain.data import InputError
from sparktrain.driver.failure_report import failed
from sparktrain.driver.training_run import run_job

real = [pytest.mark.real, pytest.mark.usefixtures("no_children")]


def train(frame, model, **words):
    words = {"features": ["x"], "label": "y", "engine": "single", "batch_size": 16, "epochs": 1, "keep": "none"} | words
    return sparktrain.train(frame, model, **words)


def only_the_record_is_left(output: Path) -> None:
    """And the log, of a run that has failed."""
    assert not list(output.glob("_runs/*"))
    assert sorted(path.name for path in output.rglob("*") if path.is_file()) == ["end.json", "run.log"]


class TestRefused:
    pytestmark = real

    def test_more_workers_than_executors_are_told_with_both_numbers(self, frame, small, tmp_path):
        with pytest.raises(NoSlots) as caught:
            train(frame, small.build, engine="horovod", workers=9, cluster={"slots_timeout": 1}, output=f"file://{tmp_path}")
        assert "asks for 9 workers" in str(caught.value) and "has 3 executors of 1 cores after 1 s" in str(caught.value)
        assert "--num-executors 9" in str(caught.value) and "training.workers to 3" in str(caught.value)
        only_the_record_is_left(tmp_path)

    def test_callbacks_that_need_what_no_executor_has_are_told_before_any_row_is_read(self, frame, small, tmp_path):
        def board():
            import keras
            import there_is_no_such_package

            return [keras.callbacks.CSVLogger(there_is_no_such_package.NAME)]

        board.__module__ = "__main__"  # as a script's
        with pytest.raises(
            ClusterRefused, match="training.callbacks needs there_is_no_such_package, and the Python of the executor on"
        ):
            train(frame, small.build, callbacks=board, output=f"file://{tmp_path}")
        only_the_record_is_left(tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "rows, words, told",
        [
            ([([1.0, 2.0], 0), ([math.nan, 2.0], 1)], {}, ["column 'x' (list<", "nan can't be trained on", "data.where"]),
            ([([1.0, 2.0], 0), (None, 1)], {}, ["column 'x' (list<", "null can't be trained on", "1 such"]),
            ([([1.0, 2.0], 0), ([None, 2.0], 1)], {}, ["column 'x' (list<", "null can't be trained on", "1 such"]),
            ([([1.0, 2.0], 0), ([1.0], 1)], {}, ["column 'x' (list<", "array of shape [", "`length`"]),
            (
                [([1.0, 2.0], 0), ([1.0, 2.0], 7)],
                {"label": {"column": "y", "classes": [0, 1]}},
                ["column 'y' (int32): 7 is none of the classes [0, 1]", "data.label"],
            ),
        ],
        ids=["NaN", "null", "null element", "ragged", "label outside the classes"],
    )
    def test_values_that_cant_be_trained_on_are_told_with_column_type_value_and_what_to_do(
        self, spark, small, tmp_path, rows, words, told
    ):
        frame = spark.createDataFrame(rows, "x array<double>, y int").coalesce(1)
        with pytest.raises(AttemptFailed) as caught:
            train(frame, small.build, output=f"file://{tmp_path}", **words)
        assert caught.value.failure.failure.cause == "input" and not caught.value.failure.failure.retryable
        assert [text for text in told if text not in str(caught.value)] == [], str(caught.value)
        only_the_record_is_left(tmp_path)

    def test_what_the_jvm_fails_with_is_told_in_a_line(self, spark):
        with pytest.raises(Py4JJavaError) as caught:
            spark._jvm.java.lang.Class.forName("nowhere.Nothing")
        result, details = failed(caught.value, "run", None, 1.0)
        assert result.reason == "Py4JJavaError: java.lang.ClassNotFoundException: nowhere.Nothing"
        assert "at java.base/java.lang.Class.forName" in details

    @pytest.mark.slow
    def test_a_step_that_leaves_no_training_rows_is_named(self, frame, small, tmp_path):
        with pytest.raises(InputError, match="no training rows: data.validation leaves none of those that the frame"):
            train(frame, small.build, validation={"where": "number >= 0"}, output=f"file://{tmp_path}")

    @pytest.mark.slow
    def test_a_damaged_file_is_named_and_so_is_a_condition_that_leaves_nothing(self, spark, small, tmp_path):
        table = pyarrow.table({"x": [[1.0, 2.0, 3.0, 4.0]] * 2000, "y": [0, 1] * 1000})
        (tmp_path / "rows").mkdir()
        for name in ("whole", "damaged"):
            pyarrow.parquet.write_table(table, tmp_path / f"rows/{name}.parquet", use_dictionary=False)
        with open(tmp_path / "rows/damaged.parquet", "r+b") as file:
            file.seek(4)
            file.write(b"\xff" * 64)  # its footer still tells the columns, so it is found only as the rows are read

        def job(**data):
            data = {"path": f"file://{tmp_path}/rows", "features": ["x"], "label": "y", "keep": "none", **data}
            return Job.from_mapping(
                {
                    "name": "damaged",
                    "data": data,
                    "model": {"build": "small:build"},
                    "training": {"engine": "single", "epochs": 1},
                    "output": {"path": f"file://{tmp_path}/models"},
                }
            )

        with pytest.raises(InputError, match=r"rows/damaged\.parquet can't be read: .*data.corrupt: skip"):
            run_job(spark, job())
        nothing = job(path=f"file://{tmp_path}/rows/whole.parquet", where="y > 1")
        with pytest.raises(InputError, match=r"no training rows: data.where: 'y > 1' leaves none of those that data"):
            run_job(spark, nothing)
        assert not list((tmp_path / "models").glob("_runs/*"))
