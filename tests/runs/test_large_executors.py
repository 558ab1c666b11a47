"""Executors of several cores: Spark would put several tasks on one; training needs one each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
from pyspark.sql import SparkSession
import sparktrain, small

builder = SparkSession.builder.master("local-cluster[2,2,1024]").config("spark.ui.enabled", "false")
spark = builder.config("spark.scheduler.minRegisteredResourcesRatio", "1.0").getOrCreate()
context = spark.sparkContext
context.setLogLevel("ERROR")
frame = spark.createDataFrame([([float(n)] * 4, n % 2) for n in range(40)], "x array<float>, y int")
result = sparktrain.train(frame, small.build, features=["x"], label="y", workers=2, batch_size=8, epochs=1,
                          callbacks="forms:tell_place", keep="none", output=sys.argv[1])
assert result.status == "finished" and result.rows == 40
spark.stop()
"""


def test_each_worker_gets_an_executor_of_its_own_with_all_its_cores(tmp_path):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "users")])
    environment = {**os.environ, "PYTHONPATH": path, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
                   "SPARK_LOCAL_DIRS": str(tmp_path / "spark")}
    done = subprocess.run([sys.executable, "-c", PROGRAM, f"file://{tmp_path}/models"], env=environment, cwd=tmp_path,
                          capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-4000:]
    told = re.findall(r"\[(\d)\] place (\S+) threads (\d+)", done.stderr)
    assert sorted(rank for rank, _, _ in told) == ["0", "1"], done.stderr[-4000:]
    assert len({executor for _, executor, _ in told}) == 2, f"both workers on one executor: {told}"
    assert {threads for _, _, threads in told} == {"2"}
