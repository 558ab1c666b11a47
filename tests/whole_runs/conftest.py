"""Rows and a user's modules for whole runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy
import psutil
import pyarrow
import pyarrow.parquet
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
USERS = ROOT / "tests" / "users"

WORDS = """
import json
from pathlib import Path

CLASSES = json.loads((Path(__file__).parent / "classes.json").read_text())   # beside the module, in the workers, too
"""
MODEL = """
import words


def prepare(frame, factor):
    return frame.withColumn("flight", frame.distance * factor)


def build_model(units):
    import json
    import keras

    assert json.load(open("classes.json")) == words.CLASSES   # and in the working folder
    inputs = keras.Input((1,), name="flight")
    hidden = keras.layers.Dense(units, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(len(words.CLASSES), activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def tell(end):
    open("told.json", "w").write(end["status"])
"""


@pytest.fixture(scope="session")
def small(spark):
    """A user's module: on his PYTHONPATH, and not on the executors', so that what a run needs of it is shipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(USERS))
        patch.syspath_prepend(str(USERS))
        import small

        yield small
        sys.modules.pop("small")


@pytest.fixture(scope="session")
def rows():
    """300 rows (x: 4 floats, y: 0 or 1, number: 0 to 299) as plain NumPy."""
    random = numpy.random.default_rng(7)
    x = random.normal(size=(300, 4)).astype("float32")
    y = (x @ [0.5, -1.0, 2.0, 0.0] > 0).astype("int32")
    return x, y, numpy.arange(300)


@pytest.fixture(scope="session")
def frame(spark, rows):
    x, y, number = rows
    data = [(each.tolist(), int(label), int(n)) for each, label, n in zip(x, y, number)]
    return spark.createDataFrame(data, "x array<float>, y int, number int").repartition(5)


@pytest.fixture
def home(tmp_path):
    """A user's folder outside the project: his module, a job, and 200 rows for it."""
    (tmp_path / "mine.py").write_text(MODEL)
    (tmp_path / "words.py").write_text(WORDS)
    (tmp_path / "classes.json").write_text('["near", "far"]')
    distance = [float(number % 100) for number in range(200)]
    table = pyarrow.table({"distance": distance, "where": ["far" if d >= 50 else "near" for d in distance]})
    (tmp_path / "rows").mkdir()
    pyarrow.parquet.write_table(table, tmp_path / "rows" / "part-0.parquet")
    job = {
        "name": "mine",
        "data": {
            "path": f"file://{tmp_path}/rows",
            "preprocess": "mine:prepare",
            "args": {"factor": 0.01},
            "validation": {"fraction": 0.2},
            "sample": {"per_class": 60},
            "features": ["flight"],
            "label": {"column": "where", "classes": ["near", "far"]},
        },
        "model": {"build": "mine:build_model", "args": {"units": 8}, "files": ["classes.json"]},
        "training": {"engine": "single", "batch_size": 16, "epochs": 2},
        "output": {"path": f"file://{tmp_path}/models"},
        "on_end": "mine:tell",
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    return tmp_path


@pytest.fixture
def program(home):
    """Runs a Python program in the user's folder, with a Spark of its own of two executors and further environment variables."""

    def run(words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PYSPARK_SUBMIT_ARGS": "--master local-cluster[2,1,1024] --conf spark.ui.enabled=false pyspark-shell",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        return subprocess.run(
            words, cwd=home, env=os.environ | environ | variables, capture_output=True, text=True, timeout=400, check=False
        )

    return run


@pytest.fixture
def meanwhile():
    """A context in which a function is called again and again, every so many seconds, as by another who looks on."""

    @contextmanager
    def calling(function, every: float):
        ended = threading.Event()

        def again() -> None:
            while not ended.wait(every):
                function()

        thread = threading.Thread(target=again)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    return calling


@pytest.fixture
def training(is_training):
    """Lists this session's training processes: its Spark has given them the session's mark."""

    def processes() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("SPARKTRAIN_TEST_SESSION") == os.environ.get("SPARKTRAIN_TEST_SESSION")
                if mine and is_training(process):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # ended meanwhile
        return found

    return processes


@pytest.fixture
def no_children(training):
    """After the test, no training process of this test session is left."""
    yield
    assert not training()
