"""Whole runs from Python: rows of a frame in, a plain Keras model out, on a real cluster with real Horovod."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import numpy
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import SQLTransformer

import sparktrain
from sparktrain.cluster.stage import AttemptFailed, StageFailed
from sparktrain.config import ConfigError

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]


def local(url: str) -> Path:
    return Path(url.removeprefix("file://"))


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return f"file://{tmp_path_factory.mktemp('models')}"


def train(frame, model, output, **words):
    words = {"features": ["x"], "label": "y", "batch_size": 16, "epochs": 2, "workers": 2, "output": output, **words}
    return sparktrain.train(frame, model, **words)


@pytest.fixture(scope="module")
def result(frame, output, small):
    """One run that several tests look at."""
    return train(
        frame,
        small.build,
        output,
        args={"units": 5},
        validation={"fraction": 0.2},
        epochs=3,
        callbacks="small:note_ranks",
        run_id="first",
    )


def test_two_workers_train_every_row_and_leave_a_complete_run(result, frame):
    assert result.status == "finished" and result.workers == 2 and result.epochs == 3
    summary = json.loads((local(result.output) / "summary.json").read_text())
    assert summary["rows"] + summary["validation_rows"] == 300 and 30 < summary["validation_rows"] < 90
    assert len(result.history["loss"]) == len(result.history["val_auc"]) == 3
    assert result.metrics["loss"] == pytest.approx(result.history["loss"][-1])
    names = {path.name for path in local(result.output).iterdir()}
    assert {"model.keras", "history.json", "history.png", "summary.json", "lineage.json", "job.yaml", "logs"} <= names
    assert not (local(result.output).parent / "_runs" / "first").exists()


def test_the_signature_says_what_the_model_takes_and_gives_with_a_row_as_it_was_fed(result, rows):
    signature = json.loads((local(result.output) / "signature.json").read_text())
    model = result.model
    [taken], [given] = signature["inputs"], signature["outputs"]
    assert (taken["name"], taken["shape"], taken["dtype"]) == (model.inputs[0].name, list(model.inputs[0].shape[1:]), "float32")
    assert taken["feature"] == "x" and [column["column"] for column in taken["columns"]] == ["x"]
    assert any(numpy.allclose(taken["example"], row) for row in rows[0])
    assert (given["shape"], given["dtype"], given["label"]) == (list(model.outputs[0].shape[1:]), "float32", "y")
    assert given["meaning"] == "classes"
    assert signature["pipeline"] is False and signature["version"] == 1
    assert model.predict(numpy.array([taken["example"]], taken["dtype"]), verbose=0).shape == (1, *given["shape"])


def test_the_model_is_plain_keras_without_sparktrain(result, rows, tmp_path):
    model = result.model
    assert model.layers[1].units == 5
    x = rows[0]
    numpy.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy, keras; model = keras.models.load_model(sys.argv[1]);"
        "numpy.save('predicted.npy', model.predict(numpy.load('x.npy'), verbose=0)); model.optimizer.learning_rate;"
        "assert 'sparktrain' not in sys.modules and type(model.optimizer) is keras.optimizers.SGD, type(model.optimizer)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(local(result.output) / "model.keras")],
        check=True,
        timeout=240,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert numpy.array_equal(numpy.load(tmp_path / "predicted.npy"), model.predict(x, verbose=0))


def test_a_finished_run_id_answers_with_its_result(result, frame, output, small):
    again = train(frame, small.build_failing, output, run_id="first")
    assert again.metrics == pytest.approx(result.metrics) and again.output == result.output


@pytest.mark.slow
def test_the_same_configuration_gives_the_same_weights_whatever_the_partitions(result, frame, output, small):
    again = train(
        frame.repartition(2).orderBy("number"), small.build, output, args={"units": 5}, validation={"fraction": 0.2}, epochs=3
    )
    for one, other in zip(result.model.get_weights(), again.model.get_weights()):
        assert numpy.array_equal(one, other)
    assert again.history == result.history
    assert again.run != result.run


def test_save_keeps_a_run_elsewhere_whole(result, tmp_path):
    url = result.save(f"file://{tmp_path}/kept")
    assert (local(url) / "model.keras").read_bytes() == (local(result.output) / "model.keras").read_bytes()
    with pytest.raises(FileExistsError, match="another folder"):
        result.save(url)


@pytest.mark.slow
@pytest.mark.parametrize("engine, workers", [("horovod", 3), ("single", 1)])
def test_every_row_is_trained_on_exactly_once_an_epoch(frame, output, small, engine, workers):
    result = train(frame, small.build_counting, output, label="number", engine=engine, workers=workers, epochs=2)
    assert result.history["ids"] == [sum(range(300))] * 2
    assert result.rows == 300


@pytest.mark.slow
def test_training_goes_on_from_a_finished_run(result, frame, output, small):
    import keras

    pipeline = Pipeline(stages=[SQLTransformer(statement="SELECT *, -number AS below FROM __THIS__")])
    more = train(
        frame,
        keras.models.load_model(local(result.output) / "model.keras"),
        output,
        epochs=1,
        pipeline=pipeline,
        validation={"where": "number < 10"},
    )
    assert more.history["loss"][0] < result.history["loss"][0]
    kept = PipelineModel.load(f"{more.output}/pipeline")  # fitted as one that a URL names
    assert [stage.uid for stage in kept.stages] == [pipeline.getStages()[0].uid]


@pytest.mark.slow
@pytest.mark.failures
def test_an_exception_in_the_builder_is_told_first_with_rank_and_traceback(frame, output, small, note_failure):
    with pytest.raises(AttemptFailed) as caught:
        train(frame, small.build_failing, output, run_id="failing")
    now, failure = time.time(), caught.value.failure
    assert failure.rank in (0, 1) and failure.host
    assert failure.failure.error == "KeyError" and "the builder's own mistake" in failure.failure.message
    assert "in build_failing" in failure.failure.traceback
    shown = "".join(traceback.format_exception_only(caught.value))  # as Python shows it under a program
    assert "small.py" in shown and "in build_failing" in shown
    kept = local(output) / "_ended" / "failing"
    assert list(local(output).glob("**/failing")) == [kept], "only its record and its log are left of a run that failed"
    assert {path.name for path in kept.iterdir()} == {"end.json", "run.log"}
    raised = float(failure.failure.message.split(" at ")[1].strip("'\""))
    note_failure(
        "An exception in the model's builder", "ends with rank, host and the user's traceback; not tried again", now - raised
    )


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_within_five_seconds_and_what_no_attempt_reads_again_is_not_kept(
    spark, frame, output, small, training
):
    def kept() -> set[int]:
        return set(spark.sparkContext._jsc.getPersistentRDDs().keySet())

    ended: list[float] = []
    before, sampled = kept(), {"fraction": 0.9}  # of which the rows are kept while they may be read again

    def run():
        with pytest.raises(AttemptFailed):
            train(frame, small.build_slow, output, label="number", epochs=100, max_failures=0, sample=sampled)
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 90
    victims = []
    while len(victims) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        victims = [process for process in training() if process.cpu_times().user > 3]  # past its imports
    assert len(victims) == 2
    while kept() - before:
        assert time.monotonic() < deadline and not ended, "the last attempt has its rows, and Spark keeps them still"
        time.sleep(0.1)
    killed = time.monotonic()
    victims[0].parent().kill()  # Spark's Python process, and its child with it
    thread.join(60)
    assert ended and ended[0] - killed < 5


def test_a_frame_that_fails_in_spark_shows_sparks_own_cause(spark, frame, output, small):
    from pyspark.sql import functions as F

    bad = frame.withColumn("y", F.when(F.col("number") == 7, F.raise_error(F.lit("row 7 is bad"))).otherwise(F.col("y")))
    with pytest.raises((StageFailed, AttemptFailed), match="row 7 is bad"):
        train(bad, small.build, output, keep="none")


def test_words_that_cannot_work_are_refused_together(frame, small):
    with pytest.raises(ConfigError) as caught:
        train(frame, small.build, None, engine="hovorod", batch_size=0, pipeline=5)
    for key in ("training.engine", "training.batch_size", "data.pipeline"):
        assert key in str(caught.value)
