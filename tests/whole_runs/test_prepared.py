"""Rows that are prepared once, and rows that are kept on the storage: the same weights, and complete or not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import pytest
import yaml
from pyspark.ml import Pipeline
from pyspark.ml.feature import StandardScaler, VectorAssembler

from sparktrain.cluster.stage import StageFailed
from sparktrain.config import ConfigError, Job
from sparktrain.data import InputError, MissingColumn, Prepared
from sparktrain.driver import SuppliedObjects, run_job, write_prepared
from sparktrain.driver.artifacts.fingerprint import of_pipeline
from sparktrain.runs import claimant
from sparktrain.runs.folder import RunTaken
from sparktrain.storage import StorageError, open_folder

ROOT = Path(__file__).resolve().parent.parent.parent
CLASSES = ["yes", "no", "maybe"]  # in no order that sorting or counting gives
pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]


@pytest.fixture(scope="module")
def place(hdfs, spark, small):
    """A folder on HDFS with 400 rows, and a saved pipeline."""
    url = f"{hdfs.uri}/prepared-tests-{os.getpid()}"
    random = numpy.random.default_rng(3)
    x = random.normal([5.0, -3.0], [2.0, 0.5], (400, 2))
    z = (x - [5.0, -3.0]) / [2.0, 0.5]
    kind = numpy.where(z[:, 0] > 0.5, "yes", numpy.where(z[:, 1] > 0, "no", "maybe"))
    rows = [(float(a), float(b), str(k), i % 7 == 0) for i, ((a, b), k) in enumerate(zip(x, kind))]
    frame = spark.createDataFrame(rows, "a double, b double, kind string, odd boolean")
    frame.repartition(3).write.parquet(f"{url}/rows")
    assembler = VectorAssembler(inputCols=["a", "b"], outputCol="raw")
    scaler = StandardScaler(inputCol="raw", outputCol="scaled", withMean=True)
    Pipeline(stages=[assembler, scaler]).write().overwrite().save(f"{url}/scaling")
    return open_folder(url)


def job(place, data: dict | None = None, model: dict | None = None, **training) -> Job:
    """A job that asks for everything that a preparation can do, or with `data` in its place."""
    own = {
        "path": f"{place.url}/rows",
        "where": "NOT odd",
        "pipeline": f"{place.url}/scaling",
        "validation": {"fraction": 0.2},
        "sample": {"per_class": 60},
    }
    return Job.from_mapping(
        {
            "name": "kinds",
            "seed": 11,
            "data": {
                "features": {"x": "scaled"},
                "label": {"column": "kind", "classes": CLASSES},
                **(own if data is None else data),
            },
            "model": model or {"build": "forms:build_classifier", "args": {"classes": 3}},
            "training": {"engine": "single", "batch_size": 16, "epochs": 2, **training},
            "output": {"path": f"{place.url}/models"},
            # Forked processes are to come to the very weights that fresh ones come to
            "cluster": {"warm": {}} if data is not None else {},
        }
    )


def changed(one: Job, **data) -> Job:
    return one.model_copy(update={"data": one.data.model_copy(update=data)})


def read(url: str, name: str):
    return json.loads(open_folder(url).read_text(name))


def same_weights(one, other) -> bool:
    pairs = list(zip(one.model.get_weights(), other.model.get_weights(), strict=True))
    return all(numpy.array_equal(mine, others) for mine, others in pairs) and one.history == other.history


@pytest.fixture(scope="module")
def written(spark, place):
    return write_prepared(spark, job(place), f"{place.url}/prepared/may")


@pytest.fixture(scope="module")
def own(spark, place):
    """The run that prepares its rows by itself."""
    result = run_job(spark, job(place), run_id="own")
    result.prepared.release()
    return result


@pytest.fixture(scope="module")
def trained(spark, place, written):
    """The run that trains on the written rows."""
    return run_job(spark, job(place, {"prepared": written.output}), run_id="from-prepared")


def test_a_prepared_frame_gives_the_weights_of_the_job_that_prepares_by_itself(own, trained, written):
    assert same_weights(own, trained)
    assert trained.rows == written.rows == own.rows
    assert trained.summary["validation_rows"] == own.summary["validation_rows"] > 0
    assert read(trained.output, "classes.json") == CLASSES
    names = set(open_folder(trained.output).list())
    assert names == set(open_folder(own.output).list())
    assert {"pipeline", "classes.json"} <= names


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers, split", [(2, "rows"), (3, "epochs")])
def test_any_number_of_workers_reads_its_rows_from_the_storage_and_comes_to_the_same_weights(
    spark, place, written, workers, split
):
    words = {"engine": "horovod", "workers": workers, "split": split}
    own = run_job(spark, job(place, **words))
    own.prepared.release()
    other = run_job(spark, job(place, {"prepared": written.output}, **words))
    assert same_weights(own, other)
    assert "filling from the storage" in open_folder(other.output).read_text("logs/run.log")
    # A frame that an earlier version has written knows of no buckets, and Spark distributes its rows
    older = place.join("prepared/may")
    summary = read(written.output, "summary.json")
    older.write_text("summary.json", json.dumps({key: summary[key] for key in summary if key not in ("buckets", "frequent")}))
    try:
        data = {"prepared": written.output, "keep": "none"}  # so that the rows that the executors have kept aren't taken
        again = run_job(spark, job(place, data, **words))
    finally:
        older.write_text("summary.json", json.dumps(summary))
    assert same_weights(own, again) and "filling\n" in open_folder(again.output).read_text("logs/run.log")


def test_rows_that_a_worker_cannot_read_by_itself_are_read_by_spark_in_the_next_attempt(spark, place, written, own, monkeypatch):
    def broken(part, scratch):
        raise OSError("written with a codec that only Spark knows")
        yield

    broken.__module__ = "__main__"  # so that it is sent to the executors, which haven't got this module
    reader = Prepared.reader
    monkeypatch.setattr(Prepared, "reader", lambda self, *given: broken if reader(self, *given) is not None else None)
    data = {"prepared": written.output, "keep": "none"}  # so that the rows that the executors have kept aren't taken
    result = run_job(spark, job(place, data, max_failures=1))
    log = open_folder(result.output).read_text("logs/run.log")
    assert result.attempts == 2 and same_weights(own, result)
    assert "the stored rows can't be read (OSError: written with a codec" in log
    assert log.index("filling from the storage") < log.index("filling\n")


def test_lineage_names_the_prepared_folder_and_carries_its_inputs(own, trained, written, spark):
    mine, its, owns = (read(each.output, "lineage.json") for each in (trained, written, own))
    assert owns["prepared"] is its["prepared"] is None
    assert mine["prepared"] == {"url": written.output} | {key: its[key] for key in its.keys() - {"inputs"}}
    assert mine["inputs"] == its["inputs"] == owns["inputs"] and len(its["inputs"]) == 3
    assert its["application"] == spark.sparkContext.applicationId and its["seed"] == 11
    for key in ("classes_before_sampling", "classes_after_sampling"):
        assert mine[key] == its[key] == owns[key]
    assert its["classes_after_sampling"] == dict.fromkeys(CLASSES, 60) != its["classes_before_sampling"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [{}, {"engine": "horovod", "workers": 2, "split": "epochs"}], ids=["single", "horovod"])
def test_rows_kept_on_the_storage_give_the_same_weights_and_leave_nothing_behind(own, spark, place, words, written):
    one = own if not words else run_job(spark, job(place, {"prepared": written.output}, **words))
    other = run_job(spark, changed(job(place, **words), keep="storage"))
    assert same_weights(one, other)
    folder = open_folder(other.output)
    assert "prepared" not in folder.list() and not place.join("models", "_runs").list()
    assert other.prepared.frame.count() == other.rows + other.summary["validation_rows"], "computed anew"
    other.prepared.release()


def test_a_rehearsal_on_prepared_rows_tells_what_the_frame_says_of_them(spark, place, written):
    told = run_job(spark, job(place, {"prepared": written.output}), check=True)
    assert (told.status, told.rows, told.summary["classes"]) == ("checked", 180, dict.fromkeys(CLASSES, 60))
    assert run_job(spark, changed(job(place), keep="storage"), check=True).summary == told.summary
    assert not place.join("models", "_runs").list()


@pytest.mark.slow
def test_a_run_that_fails_leaves_nothing_of_its_kept_rows(spark, place):
    broken = job(place, model={"build": "small:build_failing"})
    with pytest.raises(Exception, match="the builder's own mistake"):
        run_job(spark, changed(broken, keep="storage"))
    assert not place.join("models", "_runs").list()


@pytest.mark.slow
def test_training_goes_on_where_pipeline_and_classes_are_the_same(own, trained, spark, place, written):
    load = {"load": trained.output}
    more = run_job(spark, job(place, {"prepared": written.output}, load, epochs=1))
    assert read(more.output, "lineage.json")["parent"] == trained.output
    assert more.history["loss"][0] < trained.history["loss"][0]
    # rows of another day, prepared with the pipeline and the classes of the run
    data = {"path": f"{place.url}/rows", "where": "odd", "label": "kind"}
    later = write_prepared(spark, job(place, data, load), f"{place.url}/prepared/later")
    assert read(later.output, "lineage.json")["parent"] == trained.output
    assert read(later.output, "classes.json") == CLASSES
    go_on = {"prepared": later.output, "label": "kind"}
    assert run_job(spark, job(place, go_on, load, epochs=1)).rows == later.rows == 58
    # the same stages, fitted another time on other rows
    with pytest.raises(ConfigError, match="the pipeline of .* is not the one of data.prepared") as caught:
        supplied = SuppliedObjects(pipeline=Pipeline.load(f"{place.url}/scaling"))  # in place of its URL
        others = write_prepared(spark, job(place, {**data, "pipeline": None}), f"{place.url}/prepared/other", supplied=supplied)
        run_job(spark, job(place, {"prepared": others.output, "label": "kind"}, load))
    assert caught.value.problems[0].key == "model.load" and "jobs/prepare.py with the same model.load" in str(caught.value)
    with pytest.raises(InputError, match="data.label.classes is yes, no.*outputs stand for yes, no, maybe"):
        run_job(spark, job(place, {**go_on, "label": {"column": "kind", "classes": ["yes", "no"]}}, load))
    assert not place.join("models", "_runs").list()


def test_a_pipeline_that_a_program_hands_over_is_known_by_its_stages_and_their_parameters(place):
    def made(with_mean: bool) -> Pipeline:
        return Pipeline(
            stages=[
                VectorAssembler(inputCols=["a", "b"], outputCol="raw"),
                StandardScaler(inputCol="raw", outputCol="scaled", withMean=with_mean),
            ]
        )

    assert of_pipeline(made(True)) == of_pipeline(Pipeline.load(f"{place.url}/scaling")) != of_pipeline(made(False))


def test_what_is_no_whole_prepared_frame_is_refused_with_the_reason(spark, place, written, trained):
    def refused(error, match, **data):
        with pytest.raises(error, match=match):
            run_job(spark, job(place, {"prepared": written.output, **data}))

    refused(InputError, f"no complete prepared frame at {place.url}/nowhere.*jobs/prepare.py", prepared=f"{place.url}/nowhere")
    refused(InputError, "is not a prepared frame, but a run's folder.*model.load", prepared=trained.output)
    refused(MissingColumn, "no column 'raw'.*Its columns are: scaled, kind.*prepare again", features=["raw"])
    refused(
        InputError,
        "has the classes yes, no, maybe, but data.label.classes is no, yes",
        label={"column": "kind", "classes": ["no", "yes"]},
    )
    rows = place.join("prepared/may/rows")
    part = next(name for name in rows.list() if name.endswith(".parquet"))
    kept = rows.read_bytes(part)
    rows.remove(part)  # as a copy that was cut short
    refused(InputError, "are not those that were written: .*Copy or prepare them again")
    rows.write_bytes(part, kept)
    place.join("prepared/may").remove("summary.json")
    try:
        refused(InputError, "it has no summary.json")
    finally:
        place.join("prepared/may").write_text("summary.json", json.dumps(written.summary))
    data = dict.fromkeys(("validation", "sample", "pipeline", "where"))
    whole = job(place, {"path": f"{place.url}/rows", "features": ["a"], **data})
    bare = write_prepared(spark, whole, f"{place.url}/prepared/bare")
    assert read(bare.output, "summary.json")["validation_rows"] == 0
    with pytest.raises(ConfigError, match="has no validation rows") as caught:
        run_job(spark, job(place, {"prepared": bare.output, "features": ["a"]}, save="best", early_stopping={"patience": 1}))
    assert [each.key for each in caught.value.problems] == ["training.save", "training.early_stopping.monitor"]


def test_a_preparation_is_complete_or_not_there(spark, place, written):
    with pytest.raises(RunTaken, match="--to: .*prepared/may exists already. Choose another name, or remove it"):
        write_prepared(spark, job(place), written.output)
    to = f"{place.url}/prepared/failing"
    with pytest.raises(InputError, match="no training rows: data.where: 'a > 1e9' leaves none"):
        write_prepared(spark, changed(job(place), where="a > 1e9"), to)
    with pytest.raises(InputError, match="no training rows: data.where"):  # found only once they were written
        write_prepared(spark, changed(job(place), where="a > 1e9", pipeline=None, sample=None, features=["a"]), to)
    bad = "a > 0 OR raise_error('this row is bad') IS NULL"
    with pytest.raises(StageFailed, match="this row is bad"):
        write_prepared(spark, changed(job(place), where=bad, pipeline=None, sample=None, features=["a"]), to)
    living = {"machine": claimant.machine(), "pid": 1, "since": "2999-01-01T00:00:00+00:00"}
    place.join("prepared/_runs/taken").claim("running.json", json.dumps(living).encode())
    with pytest.raises(RunTaken, match="--to 'taken' is in use by .*or, if that process is dead, remove"):
        write_prepared(spark, job(place), f"{place.url}/prepared/taken")
    place.join("prepared/_runs").remove("taken", recursive=True)
    with pytest.raises(StorageError, match="nowhere"):
        write_prepared(spark, job(place, model={"load": f"{place.url}/nowhere/run"}), to)
    assert not place.exists("prepared/failing") and not place.join("prepared/_runs").list()


@pytest.fixture
def home(tmp_path):
    """A user's folder with a slow preparation."""
    (tmp_path / "mine.py").write_text(
        "import time\nfrom pyspark.sql import functions as F\n\n"
        "def slow(frame, seconds):\n"
        "    nap = F.udf(lambda x: time.sleep(seconds) or x, 'double')\n"
        "    return frame.withColumn('x', nap('x'))\n"
    )
    (tmp_path / "rows").mkdir()
    table = pyarrow.table({"x": [n / 64 for n in range(64)], "y": [n % 2 for n in range(64)]})
    pyarrow.parquet.write_table(table, tmp_path / "rows/part-0.parquet")
    job = {
        "data": {
            "path": f"file://{tmp_path}/rows",
            "preprocess": "mine:slow",
            "args": {"seconds": 0.0},
            "features": ["x"],
            "label": "y",
            "validation": {"fraction": 0.2},
        },
        "model": {"build": "of_another_machine:build"},  # it isn't here, nor asked for
        "output": {"path": f"file://{tmp_path}/models"},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    return tmp_path


def submit(home: Path, *words: str) -> subprocess.Popen:
    command = [
        ROOT / "spark-submit.sh",
        "--master",
        "local[1]",
        "--driver-memory",
        "512m",
        "--conf",
        "spark.ui.enabled=false",
        "jobs/prepare.py",
        "--config",
        "job.yaml",
        "--result",
        "end.json",
        *words,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.Popen(
        command, cwd=home, env=environment, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_what_cannot_be_prepared_is_refused_before_spark_starts(home):
    url, begun = f"file://{home}/prepared/may", time.monotonic()
    for words in (["--to", f"file://{home}/prepared/latest"], ["--to", url, "--set", "data.fromat=csv"], []):
        process = submit(home, *words)
        shown, _ = process.communicate(timeout=180)
        line = next(each for each in shown.splitlines() if each.startswith("{"))
        assert process.returncode == 2 and json.loads(line)["status"] == "refused", shown
    assert time.monotonic() - begun < 30, "Spark was started"


@pytest.mark.slow
def test_a_preparation_that_is_stopped_while_it_writes_leaves_nothing(home):
    process = submit(home, "--to", f"file://{home}/prepared/may", "--set", "data.args={seconds: 0.1}")
    shown: list[str] = []
    threading.Thread(target=lambda: shown.extend(iter(process.stdout.readline, "")), daemon=True).start()
    writing = home / "prepared/_runs/may/rows/_temporary"
    deadline = time.monotonic() + 90
    while not list(writing.glob("*/_temporary")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(writing.glob("*/_temporary")), "".join(shown)[-3000:]
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 1
    line = json.loads((home / "end.json").read_text())
    assert (line["status"], line["run"], line["reason"]) == ("stopped", "may", "stopped from outside")
    assert not (home / "prepared/may").exists() and not list((home / "prepared").glob("_runs/*"))
