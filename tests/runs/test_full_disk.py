"""A disk that is really too small for the rows: a file system of 400 MB of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.failures]
MINE = '''
def rows(frame):
    """200 MB of them, which compress well on their way."""
    return frame.sparkSession.sql("SELECT array_repeat(cast(rand(7) AS float), 2500) AS x, id % 2 AS y FROM range(0, 20000, 1, 8)")


def build():
    import keras

    x = keras.Input((2500,), name="x")
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile("sgd", "binary_crossentropy")
    return model
'''
JOB = {
    "name": "full",
    "data": {"sql": "SELECT 1", "preprocess": "mine:rows", "features": ["x"], "label": "y", "keep": "none"},
    "model": {"build": "mine:build"},
    "training": {"engine": "single", "epochs": 1, "batch_size": 64, "max_failures": 3},
}
# In a mount namespace: the file system is nobody else's, and goes with the last process in it.
ON_A_SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c", '''
mount -t tmpfs -o size=400m none "$0" || exit 99
"$@"
status=$?
find "$0" -name "sparktrain-*" -o -path "*segments*" > left.txt
exit $status
''']


def test_a_full_disk_ends_the_run_with_what_to_do_and_nothing_is_left_on_it(tmp_path, note_failure):
    can = subprocess.run([*ON_A_SMALL_DISK, str(tmp_path), "true"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    if can.returncode:
        pytest.skip(f"no file system can be mounted here: {can.stderr.strip()}")
    small = tmp_path / "small"
    small.mkdir()
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**JOB, "output": {"path": f"file://{tmp_path}/models"}}))
    command = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[2]", "--conf", f"spark.local.dir={small}",
               "--conf", "spark.sql.shuffle.partitions=2", "--conf", "spark.ui.enabled=false",
               str(ROOT / "jobs" / "train.py"), "--config", "job.yaml"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    environment.pop("SPARK_LOCAL_DIRS", None)
    done = subprocess.run([*ON_A_SMALL_DISK, str(small), *command], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          timeout=200)
    assert done.returncode == 1, done.stdout[-1000:] + done.stderr[-3000:]
    end = json.loads(done.stdout.strip().splitlines()[-1])
    assert (end["status"], end["attempts"]) == ("failed", 1)   # another attempt would fill it again
    for word in ("NoSpace", "no space left for the segments", str(small), "GB free", "spark.local.dir"):
        assert word in end["reason"]
    assert (tmp_path / "left.txt").read_text() == "" and not list((tmp_path / "models").rglob("*.keras"))
    note_failure("A full disk at the segments", "ends, 256 MB before it is full, with folder, host and what to do; not tried again")
