"""A program that doesn't stop its Spark: nothing is printed below its own last word."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import sparktrain
from pyspark import SparkContext
from pyspark.sql import SparkSession

stop = SparkContext.stop


def print_and_stop(context):
    context._jvm.java.lang.System.err.println("as a thread pool of Spark's prints what it refuses once it is closed")
    stop(context)


SparkContext.stop = print_and_stop
spark = SparkSession.builder.getOrCreate()
print("ROWS", spark.range(10).repartition(2).count())
raise KeyError("the program's own")
"""


@pytest.mark.real
@pytest.mark.slow
def test_a_program_that_ends_with_an_exception_ends_with_its_traceback_and_not_with_sparks(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [ROOT / "spark-submit.sh", "--conf", "spark.ui.enabled=false", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
    assert done.returncode == 1 and "ROWS 10" in done.stdout, done.stdout
    assert "Shutdown hooks cannot be modified" not in done.stdout and "ERROR" not in done.stdout, done.stdout[-3000:]
    assert done.stdout.rstrip().endswith('KeyError: "the program\'s own"'), done.stdout[-3000:]
