"""The main job by its command, in a user's own folder: his data, his builder, his YAML, no line of ours changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from sparktrain.runs.snapshot import final_result
from sparktrain.storage import open_folder
from sparktrain.storage.hadoop import hadoop_settings

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.real
# Spark's usual 200 shuffle partitions are for more rows than these
SPARK = ["--master", "local[2]", "--conf", "spark.sql.shuffle.partitions=2", "--conf", "spark.ui.enabled=false"]


def submit(home: Path, *arguments: str, timeout: float = 240) -> tuple[int, dict, str]:
    """Run the launcher as a user does; the exit status, the JSON line, what it showed."""
    command = [str(ROOT / "spark-submit.sh"), *SPARK, "jobs/train.py", "--config", "job.yaml", *arguments]
    environment = {**os.environ, "PYTHONPATH": "", "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=timeout)
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr[-3000:]
    return done.returncode, json.loads(lines[-1]), done.stdout + done.stderr  # spark-submit makes them one


@pytest.mark.slow
def test_a_users_own_job_trains_and_its_model_is_there(home):
    status, end, shown = submit(home, "--set", "training.epochs=3", "--run-id", "one", "--result", "end.json")
    assert status == 0, shown[-3000:]
    assert end["status"] == "finished" and end["epochs"] == 3 and end["rows"] == 120 and end["run"] == "one"
    run = home / "models" / "one"
    assert (run / "model.keras").exists() and json.loads((run / "classes.json").read_text()) == ["near", "far"]
    assert json.loads((home / "end.json").read_text()) == end
    assert final_result(open_folder(home / "models"), "one").to_dict() == end
    assert "epoch 3: accuracy" in (run / "logs" / "run.log").read_text()
    assert (home / "told.json").read_text() == "finished"
    lineage = json.loads((run / "lineage.json").read_text())
    assert lineage["classes_after_sampling"] == {"near": 60, "far": 60}
    assert set(lineage["code"]) == {"mine.py", "words.py", "classes.json"}
    # what was trained is what the YAML beside it says
    assert yaml.safe_load((run / "job.yaml").read_text())["training"]["epochs"] == 3


def test_a_misspelled_key_is_refused_before_spark_starts(home):
    begun = time.monotonic()
    status, end, shown = submit(home, "--set", "training.epoch=3", "--set", "model.build=mine:build")
    assert status == 2 and end["status"] == "refused"
    assert "training.epoch" in shown and "epochs" in shown
    assert time.monotonic() - begun < 20
    status, end, shown = submit(home, "--set", "model.build=mine:bild_model")
    assert status == 2 and "mine:build_model" in end["reason"]


@pytest.mark.slow
def test_a_plain_spark_submit_trains_the_same_and_onto_an_hdfs_that_closes_webhdfs(home, hdfs):
    conf = shutil.copytree(hdfs.conf_dir, home / "conf")
    site = ElementTree.parse(conf / "hdfs-site.xml")
    for entry in site.iter("property"):
        changed = {"dfs.webhdfs.enabled": "false", "dfs.namenode.http-address": "localhost:9"}.get(entry.findtext("name"))
        if changed is not None:
            entry.find("value").text = changed
    site.write(conf / "hdfs-site.xml")
    command = [
        str(Path(sys.executable).parent / "spark-submit"),
        *SPARK,
        str(ROOT / "jobs" / "train.py"),
        "--config",
        "job.yaml",
        "--run-id",
        "plain",
        "--set",
        "output.path=hdfs:///models/mine",
    ]
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "HADOOP_CONF_DIR": str(conf),
    }
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    output = json.loads(done.stdout.strip().splitlines()[-1])["output"]
    assert output == f"{hdfs.uri}/models/mine/plain"
    assert open_folder(output, hadoop_settings({"HADOOP_CONF_DIR": str(hdfs.conf_dir)})).exists("model.keras")
