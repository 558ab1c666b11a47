"""A scoring writes a folder of rows and predictions whole or not at all, and goes on where it was interrupted."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from pyspark.sql import functions as F

import sparktrain
from sparktrain.cluster.stage import StageFailed
from sparktrain.config import ConfigError, ScoringJob
from sparktrain.config.check import validate
from sparktrain.data import InputError, MissingColumn
from sparktrain.ml import scored_rows
from sparktrain.ml.scoring_run import run_scoring
from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.identity import NotTheSame
from sparktrain.runs.scores_folder import ScoresFolder
from sparktrain.storage import StorageError, open_folder

pytestmark = pytest.mark.real
ROWS = 240


def build():
    import keras

    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(3, activation="softmax", kernel_initializer="glorot_normal")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def trained(spark, hdfs):
    """A run, and the URL of 240 rows in 8 files: id, a, b, y, and day, whose values are names of folders; one is odd."""
    random = np.random.default_rng(5)
    values = [(n, *map(float, random.normal(size=2)), n % 3, f"day {n % 4} 100%+ü") for n in range(ROWS)]
    frame = spark.createDataFrame(values, "id int, a double, b double, y int, day string")
    url = f"{hdfs.uri}/scoring/the rows=1"
    frame.repartition(2, "id").write.partitionBy("day").parquet(url)
    run = sparktrain.train(
        frame, build, features={"x": ["a", "b"]}, label="y", output=f"{hdfs.uri}/scoring/models", engine="single", epochs=1
    )
    return run, url


@pytest.fixture
def job(trained, hdfs, request):
    """Makes a scoring; sections and keys as in its YAML."""
    run, url = trained
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)

    def job(**sections) -> ScoringJob:
        sections = {name: {**base.get(name, {}), **content} for name, content in (base | sections).items()}
        return validate(ScoringJob, sections, whole=True)

    base = {
        "data": {"path": url},
        "model": {"load": run.output},
        "score": {"keep": ["id", "day"], "portions": 3},
        "output": {"path": f"{hdfs.uri}/scoring/of/{name}"},
    }
    return job


def same_as_score(spark, trained, written) -> bool:
    run, url = trained
    expected = sparktrain.score(spark.read.parquet(url), run, keep=["id", "day"])
    return Counter(written.select("id", "day", "prediction").collect()) == Counter(expected.collect())


def test_the_folder_has_every_row_once_and_records_that_spark_does_not_see(spark, trained, job):
    asked = job(output={"partition_by": ["day"]})
    result = run_scoring(spark, asked, run_id="first")
    assert (result.status, result.rows, result.output) == ("finished", ROWS, asked.output.path)
    written = spark.read.parquet(result.output)
    assert written.columns == ["id", "prediction", "day"] and same_as_score(spark, trained, written)
    folder = open_folder(result.output)
    summary = json.loads(folder.read_text("_sparktrain/summary.json"))
    assert summary == result.summary and summary["portions"] == 3 and summary["model"] == trained[0].output
    assert summary["columns"] == {"id": "int", "day": "string", "prediction": "double"} and len(summary["inputs"]) == 8
    assert "load:" in folder.read_text("_sparktrain/job.yaml") and folder.exists("_sparktrain/logs/run.log")
    assert not open_folder(result.output.rpartition("/")[0]).exists("_runs/" + result.output.rpartition("/")[2])
    with pytest.raises(RunTaken, match="exists already.*append"):
        run_scoring(spark, asked, run_id="second")
    assert run_scoring(spark, asked, run_id="first").to_dict() | {"seconds": 0} == result.to_dict() | {"seconds": 0}


def test_scores_are_added_to_a_folder_that_only_scorings_have_written_to(spark, trained, job):
    asked = job(output={"mode": "append"})
    for name in ("monday", "tuesday"):
        run_scoring(spark, asked, run_id=name)
    written = spark.read.parquet(asked.output.path)
    assert {(row.run, row["count"]) for row in written.groupBy("run").count().collect()} == {("monday", ROWS), ("tuesday", ROWS)}
    assert run_scoring(spark, asked, run_id="tuesday").rows == ROWS and spark.read.parquet(asked.output.path).count() == 2 * ROWS
    with pytest.raises(RunTaken, match="which no scoring has added"):
        run_scoring(spark, job(output={"mode": "append", "path": trained[1]}), run_id="wednesday")


@pytest.mark.parametrize("step", ["while a portion is written", "before it is recorded", "before the summary", "at the rename"])
def test_an_interrupted_scoring_goes_on_with_what_is_not_written(spark, trained, job, monkeypatch, step):
    """The storage fails at one of the steps; the next call scores only portions that weren't recorded, and no row is there twice."""
    asked, scored = job(), []
    save = scored_rows.save

    def counting(writer, spark, url):
        save(writer, spark, url)
        scored.append(url)
        if step == "while a portion is written" and len(scored) == 2:
            raise StorageError("the storage is away")  # its files are there, and nobody knows that they are whole

    def failing(self, *arguments):
        if step == "before it is recorded" and len(scored) < 2:
            return record(self, *arguments)
        raise StorageError("the storage is away")

    record = ScoresFolder.record
    monkeypatch.setattr(scored_rows, "save", counting)
    with pytest.MonkeyPatch.context() as broken, pytest.raises(StorageError, match="the storage is away"):
        if step == "before it is recorded":
            broken.setattr(ScoresFolder, "record", failing)
        elif step == "before the summary":
            broken.setattr(RunFolder, "complete", failing)
        elif step == "at the rename":
            broken.setattr(RunFolder, "rename", failing)
        run_scoring(spark, asked, run_id="first")
    assert not open_folder(asked.output.path).exists()
    before = len(scored)
    result = run_scoring(spark, asked, run_id="other")
    assert before + (1 if before == 3 else 2) - len(scored) == (1 if before == 3 else 0)
    assert result.rows == ROWS and same_as_score(spark, trained, spark.read.parquet(result.output))


def test_another_job_to_a_folder_begins_anew_and_under_the_same_id_it_is_refused(spark, trained, job, monkeypatch, capsys):
    def failing(self, *arguments):
        raise StorageError("the storage is away")

    for mode in ("new", "append"):
        with pytest.MonkeyPatch.context() as broken, pytest.raises(StorageError, match="the storage is away"):
            broken.setattr(RunFolder, "rename", failing)
            run_scoring(spark, job(output={"mode": mode}), run_id="first")
        other = job(score={"output": "raw"}, output={"mode": mode})
        if mode == "append":
            with pytest.raises(NotTheSame, match="score output was .*prediction.* and is .*raw"):
                run_scoring(spark, other, run_id="first")
            continue
        result = run_scoring(spark, other, run_id="second")
        assert "beginning anew, without the 3 portions" in capsys.readouterr().err
        assert spark.read.parquet(result.output).columns == ["id", "day", "raw"] and result.rows == ROWS
        open_folder(result.output).remove(recursive=True)


def test_rows_that_need_each_other_are_scored_as_a_whole(spark, trained, job, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "prepare_to_score.py").write_text(
        "from pyspark.sql import functions as F\n\n\ndef first(frame):\n    return frame.groupBy('day').agg(F.min('id').alias('id'), "
        "F.min('a').alias('a'), F.min('b').alias('b'))\n\n\ndef random(frame):\n    return frame.withColumn('a', F.rand(1))\n"
    )
    for function, reason in (("first", "Aggregate"), ("random", "random")):
        data = {"preprocess": f"prepare_to_score:{function}"}
        with pytest.raises(ConfigError, match=f"can't be scored in portions: .*{reason}"):
            run_scoring(spark, job(data=data), run_id="no")
    result = run_scoring(
        spark, job(data={"preprocess": "prepare_to_score:first"}, score={"portions": None}), run_id="one", folders=[str(tmp_path)]
    )
    assert result.rows == 4 and result.summary["portions"] == 1 and len(result.summary["code"]) == 1


def test_a_rehearsal_shows_rows_and_keeps_nothing(spark, job, capsys):
    asked = job(score={"output": ["prediction", "probability"]})
    result = run_scoring(spark, asked, check=True)
    assert result.status == "checked" and result.rows == 5
    shown = capsys.readouterr().err
    assert "prediction" in shown and "day " in shown
    root, _, name = asked.output.path.rpartition("/")
    assert not open_folder(root).exists(name) and not open_folder(root).exists(f"_runs/{name}")
    with pytest.raises(RunTaken, match="exists already"):
        run_scoring(spark, job(output={"path": job().data.path[0]}), check=True)


def test_what_cannot_be_scored_is_refused_before_a_row_is_read(spark, trained, job, hdfs):
    with pytest.raises(
        ConfigError, match=r"output\.partition_by: 'hour' came; expected columns of the scores: \['id', 'day', 'pred"
    ):
        run_scoring(spark, job(output={"partition_by": ["hour"]}))
    with pytest.raises(ConfigError, match=r"keep: the frame has no column 'hour'"):
        run_scoring(spark, job(score={"keep": ["hour"]}))
    with pytest.raises(InputError, match="there is nothing at|can't be read|does not exist"):
        run_scoring(spark, job(data={"path": f"{hdfs.uri}/nowhere"}))
    with pytest.raises(MissingColumn, match="the column 'b', which the frame lacks"):
        frame = spark.read.parquet(trained[1]).drop("b")
        frame.write.parquet(f"{hdfs.uri}/scoring/without")
        run_scoring(spark, job(data={"path": f"{hdfs.uri}/scoring/without"}))


def test_csv_goes_in_and_json_comes_out_and_a_null_has_no_prediction(spark, trained, job, hdfs):
    frame = spark.read.parquet(trained[1]).withColumn("a", F.when(F.col("id") != 7, F.col("a")))
    frame.repartition(4).write.option("header", True).csv(f"{hdfs.uri}/scoring/csv")
    data = {"path": f"{hdfs.uri}/scoring/csv", "format": "csv", "options": {"header": True}, "where": "id < 50"}
    with pytest.raises(StageFailed, match="column 'a' .*null.*nulls"):
        run_scoring(spark, job(data=data))
    asked = job(data=data, score={"nulls": None, "portions": 2}, output={"format": "json", "options": {"compression": "gzip"}})
    result = run_scoring(spark, asked)
    rows = {row.id: row for row in spark.read.json(result.output).collect()}
    assert sorted(rows) == list(range(50)) and result.rows == 50
    assert [number for number, row in rows.items() if row.prediction is None] == [7]
