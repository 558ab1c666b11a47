"""The programs in jobs/ by their command lines, in this process and on the session's Spark, but for which all is as submitted."""

from __future__ import annotations

import json
import signal
import sys

import numpy
import pyarrow.parquet
import pytest
import yaml
from pyspark.sql import SparkSession

from sparktrain.cli import main, prepare_main, score_main, tune_main
from sparktrain.runs.snapshot import final_result
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]


@pytest.fixture
def run(home, spark, monkeypatch, capfd):
    """Runs a program in the user's folder; its exit status, its JSON line, and all that it showed."""
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.setattr(SparkSession, "stop", lambda session: None)  # other tests go on with it
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def program(program, *words: str, config: str = "job.yaml") -> tuple[int, dict, str]:
        status = program(["--config", config, *words])
        shown = capfd.readouterr()
        return status, json.loads(shown.out.strip().splitlines()[-1]), shown.out + shown.err

    yield program
    for name in ("mine", "words"):
        sys.modules.pop(name, None)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_rehearsal_tells_shapes_counts_steps_and_leaves_nothing(run, home):
    status, end, shown = run(main, "--check")
    assert status == 0 and end["status"] == "checked" and end["rows"] == 120
    for word in ("input flight", "(1,)", "class near", "60", "steps an epoch", "disk a worker"):
        assert word in shown, shown[-3000:]
    assert not [path for path in (home / "models").rglob("*") if path.is_file()]


def test_rows_that_cannot_be_trained_on_fail_with_exit_status_one(run, home):
    status, end, _ = run(main, "--set", "data.label={column: where, classes: [near, away]}", "--set", "data.sample=null")
    assert status == 1 and end["status"] == "failed"
    assert "far" in end["reason"] and "where" in end["reason"]
    assert not list((home / "models").glob("[!_]*")) and not list((home / "models").glob("_runs/*"))
    assert final_result(open_folder(home / "models"), end["run"]).to_dict() == end
    [record] = [json.loads(path.read_text()) for path in (home / "models").glob("_ended/*/end.json")]
    assert record == end | {name: record[name] for name in ("finished", "traceback", "user", "application", "resumable")}


def test_a_table_that_is_not_there_is_refused(run):
    status, end, _ = run(main, "--set", "data.path=null", "--set", "data.table=warehouse.flights")
    assert (status, end["status"]) == (2, "refused") and "warehouse.flights" in end["reason"], end


@pytest.mark.parametrize("key", ["data.path", "output.path"])
def test_an_hdfs_that_spark_has_no_configuration_of_is_refused_with_what_to_do(run, key):
    status, end, shown = run(main, "--set", f"{key}=hdfs://no-such-nameservice/nowhere")
    assert status == 2 and end["status"] == "refused", end
    assert "HADOOP_CONF_DIR" in end["reason"] and "sparktrain.sandbox start" in end["reason"]
    assert "Traceback" not in shown


def test_a_search_is_rehearsed_and_one_for_a_metric_that_the_model_lacks_is_refused(run, home):
    search = {
        "base": "job.yaml",
        "trials": 2,
        "parallel": 2,
        "sampler": "random",
        "space": {"model.args.units": {"choice": [2, 4, 8]}},
        "goal": {"metric": "val_auc", "mode": "max"},
    }
    (home / "tune.yaml").write_text(yaml.safe_dump(search))
    status, end, shown = run(tune_main, "--config", "tune.yaml", "--check")
    assert (status, end["status"], end["rows"]) == (0, "checked", 120), shown[-3000:]
    status, end, shown = run(tune_main, "--config", "tune.yaml", "--run-id", "mine")
    assert (status, end["status"], end["run"]) == (2, "refused", "mine"), shown[-3000:]
    assert (
        "goal.metric: val_auc came; expected one of the model's metrics: accuracy, loss, val_accuracy, val_loss" in end["reason"]
    )
    assert not list((home / "models").glob("[!_]*"))


def test_a_preparation_tells_its_end_by_line_and_status(run, home):
    module = home / "mine.py"
    module.write_text(module.read_text().partition("def build_model")[0])  # the builder isn't here, nor asked for
    url = f"file://{home}/prepared/may"
    status, line, shown = run(prepare_main, "--to", url, "--result", "end.json")
    assert (status, line["status"], line["run"], line["output"]) == (0, "finished", "may", url), shown[-3000:]
    assert json.loads((home / "end.json").read_text()) == line
    assert line["rows"] == 120 and json.loads((home / "prepared/may/summary.json").read_text())["validation_rows"] > 0
    status, line, _ = run(prepare_main, "--to", url)
    assert (status, line["status"], line["output"]) == (2, "refused", None) and "exists already" in line["reason"]


KILLED = """
import os, sys
from sparktrain.cli import score_main
from sparktrain.runs.scores_folder import ScoresFolder

record = ScoresFolder.record

def kill(self, *portion):
    record(self, *portion)
    os._exit(9)

if os.environ["KILL"] == "yes":
    ScoresFolder.record = kill
sys.exit(score_main())
"""


@pytest.mark.timeout(600)
def test_a_model_scores_its_rows_by_a_program_that_is_killed_and_started_again(run, home, program):
    status, trained, _ = run(main)
    assert status == 0, trained
    table = pyarrow.parquet.read_table(home / "rows")
    for number in range(1, 4):
        pyarrow.parquet.write_table(table, home / "rows" / f"part-{number}.parquet")
    scoring = {
        "data": {"path": f"file://{home}/rows", "preprocess": "mine:prepare", "args": {"factor": 0.01}},
        "model": {"load": f"file://{home}/models/latest"},
        "score": {"keep": ["distance"], "output": ["prediction", "probability"], "portions": 2},
        "output": {"path": f"file://{home}/scores"},
        "on_end": "mine:tell",
    }
    (home / "scores.yaml").write_text(yaml.safe_dump(scoring))
    status, end, shown = run(score_main, "--check", config="scores.yaml")
    assert (status, end["status"], end["rows"]) == (0, "checked", 5) and "probability" in shown and not (home / "scores").exists()
    (home / "killed.py").write_text(KILLED)
    words = [sys.executable, "killed.py", "--config", "scores.yaml"]
    killed = program(words, KILL="yes")
    assert killed.returncode == 9 and not (home / "scores").exists(), killed.stderr[-3000:]
    first = {path.name: path.stat().st_mtime_ns for path in (home / "_runs" / "scores" / "scores").glob("part-*")}
    resumed = program(words, KILL="no")
    assert resumed.returncode == 0 and "going on with an earlier scoring" in resumed.stderr, resumed.stderr[-3000:]
    end = json.loads(resumed.stdout.strip().splitlines()[-1])
    assert (end["status"], end["rows"], end["output"]) == ("finished", 800, f"file://{home}/scores")
    assert first and first.items() <= {path.name: path.stat().st_mtime_ns for path in (home / "scores").glob("part-*")}.items()
    scored = pyarrow.parquet.read_table(home / "scores").to_pandas()
    assert len(scored) == 800 and set(scored["prediction"]) <= {"near", "far"} and not (home / "_runs" / "scores").exists()
    import keras

    model = keras.saving.load_model(home / "models" / trained["run"] / "model.keras")
    expected = model.predict(scored[["distance"]].to_numpy("float32") * 0.01, verbose=0)
    numpy.testing.assert_allclose(scored["probability"].tolist(), expected, rtol=1e-4, atol=1e-6)
    assert (home / "told.json").read_text() == "finished"  # on_end
