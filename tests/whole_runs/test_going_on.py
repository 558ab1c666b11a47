"""A job's run with classes and a pipeline, the run that goes on from it, and what runs leave behind."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from pathlib import Path

import numpy
import psutil
import pyarrow
import pyarrow.parquet
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import StandardScaler, VectorAssembler

import sparktrain
from sparktrain.cli.command import main
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.config import Job
from sparktrain.data import InputError
from sparktrain.driver.training_run import run_job
from sparktrain.runs.identity import NotTheSame

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]

CLASSES = ["yes", "no", "maybe"]  # in no order that sorting or counting gives
SEED = 11


def local(url: str) -> Path:
    return Path(url.removeprefix("file://"))


def read(url: str, name: str):
    return json.loads((local(url) / name).read_text())


@pytest.fixture(scope="module")
def folder(spark, tmp_path_factory):
    """Two files of 200 rows, a third that breaks off, and a saved pipeline."""
    folder = tmp_path_factory.mktemp("going-on")
    (folder / "rows").mkdir()
    random = numpy.random.default_rng(3)
    for name in ("one", "two", "broken"):
        x = random.normal([5.0, -3.0], [2.0, 0.5], (200, 2))
        z = (x - [5.0, -3.0]) / [2.0, 0.5]
        kind = numpy.where(z[:, 0] > 0.5, "yes", numpy.where(z[:, 1] > 0, "no", "maybe"))
        table = pyarrow.table({"a": x[:, 0], "b": x[:, 1], "kind": kind})
        pyarrow.parquet.write_table(table, folder / f"rows/{name}.parquet")
    whole = (folder / "rows/broken.parquet").read_bytes()
    (folder / "rows/broken.parquet").write_bytes(whole[: len(whole) // 2])
    assembler = VectorAssembler(inputCols=["a", "b"], outputCol="raw")
    scaler = StandardScaler(inputCol="raw", outputCol="scaled", withMean=True)
    Pipeline(stages=[assembler, scaler]).write().save(f"file://{folder}/scaling")
    return folder


@pytest.fixture(scope="module")
def left(spark):
    """What a run could leave: this process's threads and ports, and work folders on the executors; rows are to stay there."""
    folders = spark.sparkContext.parallelize(range(3), 3).map(lambda _: os.environ["SPARK_LOCAL_DIRS"]).collect()

    def look():
        # py4j makes and ends unnamed ones as it likes; ours have names
        threads = Counter(thread.name for thread in threading.enumerate() if not thread.name.startswith("Thread-"))
        ports = {c.laddr.port for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN}
        work = {path for dirs in folders for each in dirs.split(",") for path in Path(each).glob("sparktrain-*")}
        return threads, ports, {path for path in work if not path.name.startswith("sparktrain-rows-")}

    return look


def nothing_new(left, before) -> bool:
    """Wait till there is no more than before. What an earlier run of these tests left to end by itself may have ended."""
    deadline = time.monotonic() + 3
    while (new := [now - then for now, then in zip(left(), before)]) != [Counter(), set(), set()] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert new == [Counter(), set(), set()]
    return True


def job(folder: Path, data: dict, model: dict, epochs: int = 4, engine: str = "single", workers: int = 1) -> Job:
    return Job.from_mapping(
        {
            "name": "kinds",
            "seed": SEED,
            "data": {"features": {"x": "scaled"}, **data},
            "model": model,
            "training": {"engine": engine, "workers": workers, "batch_size": 16, "epochs": epochs},
            "output": {"path": f"file://{folder}/models"},
            "cluster": {"warm": {}},
        }
    )


@pytest.fixture(scope="module")
def first(spark, small, folder, left):
    before = left()
    data = {
        "path": f"file://{folder}/rows",
        "corrupt": "skip",
        "pipeline": f"file://{folder}/scaling",
        "label": {"column": "kind", "classes": CLASSES},
        "validation": {"fraction": 0.2},
        "sample": {"per_class": 60},
    }
    model = {"build": "forms:build_classifier", "args": {"classes": 3}}
    result = run_job(spark, job(folder, data, model), run_id="first")
    result.prepared.release()
    assert nothing_new(left, before)
    return result


def test_lineage_says_where_the_model_comes_from(first, spark, folder, capsys):
    origin = read(first.output, "lineage.json")
    assert origin["run"] == "first" and origin["parent"] is None and origin["seed"] == SEED
    files = {Path(each["path"]).name: each for each in origin["inputs"]}
    assert set(files) == {"one.parquet", "two.parquet"}, "the file that was left out is no input"
    for name, each in files.items():
        stat = (folder / "rows" / name).stat()
        assert each["length"] == stat.st_size and abs(each["modified"] - stat.st_mtime * 1000) < 1000
    before, after = origin["classes_before_sampling"], origin["classes_after_sampling"]
    assert set(before) == set(after) == set(CLASSES)
    assert after == {name: min(60, count) for name, count in before.items()} != before
    assert sum(after.values()) == first.rows and sum(before.values()) + first.summary["validation_rows"] == 400
    assert origin["versions"].keys() >= {"python", "sparktrain", "pyspark", "keras", "pyarrow", "numpy"}
    assert origin["user"] == spark.sparkContext.sparkUser()
    assert origin["application"] == spark.sparkContext.applicationId
    assert set(origin["code"]) == {"forms.py"}
    assert main(["runs", "show", first.output, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lineage"] == origin
    assert main(["runs", "show", first.output]) == 0 and "2 files" in capsys.readouterr().out


def test_files_that_were_left_out_are_counted_in_the_summary(first):
    notes = "\n".join(read(first.output, "summary.json")["notes"])
    assert "data.corrupt: skip left out 1 files" in notes and "broken.parquet" in notes


def test_the_pipeline_saved_with_the_model_makes_rows_that_it_predicts_from(first, spark, folder):
    rows = spark.read.parquet(f"file://{folder}/rows/one.parquet")
    rows = PipelineModel.load(f"{first.output}/pipeline").transform(rows).select("scaled", "kind").toPandas()
    x = numpy.array([vector.toArray() for vector in rows["scaled"]])
    assert abs(x.mean(axis=0)).max() < 0.3 and abs(x.std(axis=0) - 1).max() < 0.3
    assert read(first.output, "classes.json") == CLASSES
    named = numpy.array(CLASSES)[first.model.predict(x, verbose=0).argmax(axis=1)]
    assert (named == rows["kind"]).mean() > 0.6, "a third is right by chance, and where classes are mixed up"


def test_a_run_by_another_engine_goes_on_from_the_latest_with_its_pipeline_and_classes(first, spark, folder):
    load = {"load": f"file://{folder}/models/latest"}
    data = {"path": f"file://{folder}/rows/two.parquet", "label": "kind"}  # strings: its parent's classes number them
    more = run_job(spark, job(folder, data, load, epochs=1, engine="tensorflowonspark", workers=2), run_id="second")
    more.prepared.release()
    assert read(more.output, "lineage.json")["parent"] == first.output
    assert read(more.output, "classes.json") == CLASSES
    mine, parents = (PipelineModel.load(f"{run.output}/pipeline").stages[1] for run in (more, first))
    assert mine.mean == parents.mean and mine.std == parents.std, "fitted again, on other rows"
    assert more.rows == 200 and more.history["loss"][0] < first.history["loss"][0]
    assert int(more.model.optimizer.iterations) > int(first.model.optimizer.iterations)

    with pytest.raises(InputError, match="stand for yes, no, maybe, in this order: further training would teach it wrong"):
        run_job(spark, job(folder, {**data, "label": {"column": "kind", "classes": sorted(CLASSES)}}, load))
    assert not list((folder / "models" / "_runs").glob("*"))


def test_a_worker_that_makes_no_step_ends_the_run_and_leaves_what_it_has_come_to(frame, small, left, tmp_path):
    before = left()
    words = dict(
        features=["x"],
        label="y",
        engine="single",
        batch_size=64,
        epochs=3,
        callbacks="forms:hang",
        cluster={"stall_timeout": 15},
        max_failures=0,
        output=f"file://{tmp_path}",
        run_id="hung",
    )
    with pytest.raises(AttemptFailed) as caught:
        sparktrain.train(frame, small.build, **words)
    assert caught.value.failure.failure.error == "Stalled" and caught.value.failure.failure.retryable
    assert "cluster.stall_timeout is 15" in str(caught.value)
    assert nothing_new(left, before)
    [run] = tmp_path.glob("_runs/*")  # an epoch had ended, so there is what the same command goes on from
    assert list(run.glob("checkpoints/*.npz")) and not list(run.glob("running*.json"))
    assert sorted(path.name for path in tmp_path.glob("_ended/*/*")) == ["end.json", "run.log"]
    # and that goes on with the same rows only, also where no file tells of them
    with pytest.raises(NotTheSame, match="the frame that the program hands over is another: its plan"):
        sparktrain.train(frame.where("y >= 0"), small.build, **words)
