"""The quickstart as a newcomer runs it, but for the Hadoop, which ends with the tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrain.storage import open_folder

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]

LOAD = """
import keras, numpy, sys
model = keras.models.load_model("model.keras")
late = model.predict([numpy.zeros((3, *each.shape[1:]), "float32") for each in model.inputs], verbose=0)
assert late.shape == (3, 1) and "sparktrain" not in sys.modules
"""
SERVE = """
import sys
import numpy as np, tensorflow as tf

serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
columns = {name: tf.zeros([2 if size is None else size for size in spec.shape], spec.dtype)
           for name, spec in serve.structured_input_signature[1].items()}
columns |= {name: tf.constant(values) for name, values in
            {"origin": ["JFK", "LGA"], "carrier": ["UA", "no such"], "dest": ["LAX", "BOS"]}.items()}
columns["history"] = tf.zeros((2, 8, 10))
scores = {name: value.numpy() for name, value in serve(**columns).items()}
assert scores["probability"].shape == (2,) and set(scores["prediction"]) <= {0.0, 1.0}, scores
assert not {"sparktrain", "pyspark"} & {name.partition(".")[0] for name in sys.modules}
"""


def test_the_quickstart_beats_logistic_regression_and_leaves_a_plain_keras_model_on_hdfs(hdfs, tmp_path):
    environment = {
        **os.environ,
        "HADOOP_CONF_DIR": str(hdfs.conf_dir),
        "SPARK_CONF_DIR": str(ROOT / "conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    command = [
        Path(sys.executable).parent / "spark-submit",
        "--master",
        "local-cluster[2,1,1024]",
        "jobs/quickstart.py",
        "--config",
        "conf/quickstart.yaml",
    ]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=800)
    shown = ended.stdout + ended.stderr  # spark-submit sends all that its program says to standard output
    assert ended.returncode == 0, shown[-5000:]
    end = json.loads(ended.stdout.splitlines()[-1])
    assert (end["status"], end["rows"], end["workers"]) == ("finished", 80_000, 2)

    area = {sees.strip(): float(auc) for sees, auc in re.findall(r"│([^│]+)│ (0\.\d{4}) │", shown)}
    assert area["all hours, flight"] == round(end["metrics"]["val_auc"], 4)
    assert area["all hours, flight"] > area["last hour"] + 0.02
    assert area["all hours, flight"] > area["last hour, flight"] > area["last hour"] > 0.65

    [(url, scored)] = re.findall(r"^their probabilities are at (\S+), with an AUC of (0\.\d{4})", shown, re.MULTILINE)
    assert abs(float(scored) - area["all hours, flight"]) < 0.0002  # Keras counts with 1000 thresholds
    assert url.endswith("/scores/late-flights") and len(open_folder(url).list()) > 1

    for url in ("hdfs:///data/flights", "hdfs:///data/weather"):
        assert len([name for name in open_folder(url).list() if name.endswith(".parquet")]) > 1
    [fetch] = re.findall(r"^  (\S*sparktrain runs fetch .*)$", shown, re.MULTILINE)
    subprocess.run(fetch, shell=True, cwd=tmp_path, env=environment, check=True, timeout=240)
    subprocess.run([sys.executable, "-c", LOAD], cwd=tmp_path, check=True, timeout=240)

    export = [Path(sys.executable).parent / "sparktrain", "export", f"{end['output']}", "--to", f"file://{tmp_path}/serving/late"]
    made = subprocess.run(export, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert made.returncode == 0 and made.stdout == f"file://{tmp_path}/serving/late/1\n", made.stderr[-3000:]
    record = json.loads((tmp_path / "serving/late/1/sparktrain/export.json").read_text())
    assert record["rows_compared"] == 2000 and record["greatest_difference"] < 1e-4
    assert [each.partition(" ")[0] for each in record["stages"]] == ["StringIndexer", "TargetEncoder", "VectorAssembler"]
    subprocess.run([sys.executable, "-c", SERVE, tmp_path / "serving/late/1"], cwd=tmp_path, check=True, timeout=240)
