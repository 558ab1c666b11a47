"""Searches: several trials in one application, of which one fails, and a search that is killed and resumed."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
from functools import partial

import pytest
import yaml

import sparktrain
from sparktrain.cli.command import main as command
from sparktrain.cluster.executors.pool import pool_of
from sparktrain.runs.finished import latest
from sparktrain.runs.listing import listed
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]


def build(units=4, rate=0.1, fails=False):
    import keras

    if fails:
        raise KeyError("a trial's own mistake")
    x = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(units, activation="tanh")(x)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.SGD(rate), "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    return model


def tune(frame, folder, **words):
    given = dict(
        features=["x"],
        label="y",
        validation={"fraction": 0.2},
        engine="single",
        epochs=2,
        goal={"metric": "val_auc", "mode": "max"},
        output=f"file://{folder}/models",
    )
    return sparktrain.tune(frame, build, **{**given, **words})


@pytest.mark.timeout(900)
def test_of_four_trials_two_at_a_time_one_fails_and_the_best_becomes_the_run_of_the_searches_id(spark, frame, tmp_path):
    space = {"args.fails": {"choice": [False, True]}, "batch_size": {"choice": [16, 32]}}
    result = tune(frame, tmp_path, space=space, sampler="grid", parallel=2, run_id="first")
    assert not pool_of(spark.sparkContext).runs()
    states = {(trial["parameters"]["model.args.fails"], trial["state"]) for trial in result.trials}
    assert states == {(False, "finished"), (True, "failed")} and len(result.trials) == 4
    assert all("a trial's own mistake" in trial["reason"] for trial in result.trials if trial["state"] == "failed")
    best = max((trial for trial in result.trials if trial["state"] == "finished"), key=lambda trial: trial["value"])
    # The best trial's run is a run like any other, under the search's id
    assert (result.run, result.output) == ("first", f"file://{tmp_path}/models/first")
    assert result.metrics["val_auc"] == best["value"] == result.history["val_auc"][-1]
    assert result.model.count_params() == 25
    found = open_folder(result.output)
    job, lineage = yaml.safe_load(found.read_text("job.yaml")), json.loads(found.read_text("lineage.json"))
    assert job["training"]["batch_size"] == best["parameters"]["training.batch_size"]
    assert job["output"]["path"] == f"file://{tmp_path}/models"
    assert (lineage["run"], lineage["search"]["trial"]) == ("first", best["number"])
    assert lineage["search"]["trials"] == {"finished": 2, "failed": 2}
    assert {"trials.csv", "trials.json", "trials.md", "run.log"} <= set(found.join("search").list())
    assert len(list(csv.DictReader(io.StringIO(found.read_text("search/trials.csv"))))) == 4
    # Trials aren't among the job's runs
    models = open_folder(f"file://{tmp_path}/models")
    assert latest(models) == "first" and [run["run"] for run in listed(models, 10)] == ["first"]
    # Under its id again it is finished, and nothing is trained
    assert tune(frame, tmp_path, space=space, sampler="grid", parallel=2, run_id="first").trials == result.trials


@pytest.mark.timeout(900)
def test_trials_that_vary_the_rows_prepare_each_variant_once_and_the_same_seed_gives_the_same_trials(
    spark, frame, tmp_path, monkeypatch
):
    from sparktrain.search import search_run

    prepared = []
    prepare = search_run.prepare_rows
    monkeypatch.setattr(search_run, "prepare_rows", lambda *args, **keys: prepared.append(args[1].data) or prepare(*args, **keys))
    space = {"sample.fraction": {"choice": [0.5, 1.0]}, "args.units": {"choice": [2, 4]}}
    results = [
        tune(frame, tmp_path / name, space=space, trials=3, parallel=parallel, sampler="random", epochs=1)
        for name, parallel in (("a", 3), ("b", 1))
    ]
    assert [len({data.sample.fraction for data in part}) for part in (prepared[:2], prepared[2:])] == [2, 2]
    assert len(prepared) == 4
    values = [[(trial["parameters"], trial["values"]) for trial in result.trials] for result in results]
    assert values[0] == values[1]


KILLED = """
import os, sys
from sparktrain.cli import tune_main
from sparktrain.search import search_run

trial_line, ended = search_run.trial_line, []

def kill(trial, *args):
    ended.append(trial.number)
    if len(ended) == 2:
        os._exit(9)
    return trial_line(trial, *args)

if os.environ["KILL"] == "yes":
    search_run.trial_line = kill
sys.exit(tune_main())
"""
# As Optuna's sampler, where it is installed: the study is then resumed, too
SAMPLER = "tpe" if importlib.util.find_spec("optuna") else "random"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_that_was_killed_resumes_under_its_id_with_the_trials_it_had(hdfs, home, program):
    search = {
        "base": "job.yaml",
        "trials": 4,
        "parallel": 2,
        "sampler": SAMPLER,
        "space": {"model.args.units": {"int": [2, 64], "log": True}, "training.batch_size": {"choice": [16, 32]}},
        "goal": {"metric": "val_accuracy", "mode": "max"},
    }
    (home / "tune.yaml").write_text(yaml.safe_dump(search))
    (home / "killed.py").write_text(KILLED)
    words = [sys.executable, "killed.py", "--config", "tune.yaml", "--run-id", "mine", "--set", "base.training.epochs=1"]
    killed = program(words, KILL="yes", HADOOP_CONF_DIR=str(hdfs.conf_dir))
    assert killed.returncode == 9, killed.stderr[-3000:]
    records = home / "models" / "_searches" / "mine" / "records"
    before = {path.name: json.loads(path.read_text()) for path in records.iterdir()}
    had = [record for record in before.values() if record["state"] == "finished"]
    assert len(had) >= 2 and not (home / "models" / "mine").exists()

    resumed = program(words, KILL="no", HADOOP_CONF_DIR=str(hdfs.conf_dir))
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    line = json.loads(resumed.stdout.strip().splitlines()[-1])
    assert (line["status"], line["run"], line["output"]) == ("finished", "mine", f"file://{home}/models/mine")
    assert "resuming search mine, which has" in resumed.stderr
    trials = json.loads((home / "models" / "mine" / "search" / "trials.json").read_text())
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    assert all(trials[record["number"]] == record for record in had)
    for record in before.values():  # those that were at work have kept their values
        assert trials[record["number"]]["parameters"] == record["parameters"]
    assert (home / "told.json").read_text() == "finished"  # on_end


@pytest.mark.timeout(900)
def test_bad_trials_end_at_an_epoch_s_end_with_their_model_and_reason(spark, frame, small, tmp_path):
    space = {"args.rate": {"choice": [0.5, 0.0, -0.5]}}
    result = tune(
        frame,
        tmp_path,
        space=space,
        sampler="grid",
        epochs=9,
        batch_size=8,
        stop={"by": "asha", "after": 2},
        goal={"metric": "val_loss", "mode": "min"},
        callbacks=partial(small.linger, 0.02),
    )
    good, *bad = result.trials
    assert (good["state"], good["epochs"], len(good["values"])) == ("finished", 9, 9)
    assert result.metrics["val_loss"] == good["value"]
    for trial in bad:
        assert trial["state"] == "stopped" and 2 <= trial["epochs"] < 9, trial
        assert "after epoch 2 (asha)" in trial["reason"]
        run = open_folder(f"file://{tmp_path}/models/_searches/{result.run}/trials/{trial['run']}")
        assert run.exists("model.keras") and len(json.loads(run.read_text("history.json"))["val_loss"]) == trial["epochs"]


@pytest.mark.timeout(900)
def test_a_search_is_stopped_from_elsewhere_like_a_run(spark, frame, small, tmp_path, meanwhile):
    url = f"file://{tmp_path}/models/halted"
    records = tmp_path / "models" / "_searches" / "halted" / "records"

    def stop() -> None:
        """Stop the search once its first trial has ended."""
        known = [json.loads(path.read_text()) for path in records.glob("*.json")]
        if not stopped and any(record["state"] == "finished" for record in known):
            stopped.append(command(["runs", "stop", url]))

    stopped: list[int] = []
    space = {"args.units": {"choice": [2, 4, 8, 16, 32, 64]}}
    with meanwhile(stop, every=0.3):
        result = tune(frame, tmp_path, space=space, sampler="grid", callbacks=partial(small.linger, 0.1), run_id="halted")
    assert stopped == [0] and result.output == url
    assert 2 <= len(result.trials) < 6 and result.trials[0]["state"] == "finished"
