"""Spark's cluster managers, real ones, beside the session's HDFS; and a user's job to run on them by its command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow
import pyarrow.parquet
import pytest
import yaml

from sparktrain.storage import open_folder

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 500  # of one submit
# As every other JVM of the tests: what runs in YARN's containers doesn't have this process's environment.
SHORT_LIVED = [
    word
    for of in ("executorEnv", "yarn.appMasterEnv")
    for word in ("--conf", f"spark.{of}.JAVA_TOOL_OPTIONS={os.environ['JAVA_TOOL_OPTIONS']}")
]
MODEL = """
import os
import sys


def prepare(frame, factor):
    from pyspark.sql import functions as F

    return frame.withColumn("x", F.array(F.col("distance") * factor, "distance").cast("array<float>"))


def build_model(units):
    import keras

    print("GPU", os.environ["CUDA_VISIBLE_DEVICES"] or "none", "of", sys.executable, "threads",
          os.environ["OMP_NUM_THREADS"], flush=True)
    x = keras.Input((2,), name="x")
    hidden = keras.layers.Dense(units, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(3))(x)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")(hidden))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.fixture(scope="module")
def clusters(hdfs):
    """The session's sandbox with YARN and a standalone master; they end with this module, as they take processor time."""
    hdfs.start("yarn", "standalone")
    yield hdfs
    hdfs.stop("yarn", "standalone")


@pytest.fixture(scope="module")
def environment(clusters):
    """What `sparktrain package` has put on HDFS, by the name of Spark's setting that leads to it."""
    command = [sys.executable, "-P", "-m", "sparktrain.cli.command", "package", "--to", "hdfs:///envs"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert made.returncode == 0, made.stderr
    return ["--conf", "spark.sparktrain.packages=hdfs:///envs"]


@pytest.fixture(scope="module")
def containers():
    """Lists the YARN containers, by their ids, of the processes whose command line has a word."""

    def found(word: str) -> list[str]:
        ids = []
        for process in psutil.process_iter():
            try:
                container = process.environ().get("CONTAINER_ID")
                if container is not None and word in " ".join(process.cmdline()):
                    ids.append(container)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # ended meanwhile
        return ids

    return found


@dataclass
class End:
    """How a submit ended."""

    status: int
    line: dict
    errors: str
    home: Path = field(repr=False)

    def weights(self) -> list:
        import keras

        open_folder(self.line["output"]).download("model.keras", str(self.home / "model.keras"))
        return keras.models.load_model(self.home / "model.keras").get_weights()

    def lineage(self) -> dict:
        return json.loads(open_folder(self.line["output"]).read_text("lineage.json"))

    def log(self) -> str:
        return open_folder(self.line["output"]).read_text("logs/run.log")


@pytest.fixture(scope="module")
def home(clusters, tmp_path_factory):
    """A user's folder, outside the project, with a job on rows of HDFS."""
    folder = tmp_path_factory.mktemp("mine")
    distance = [number % 100 / 100 + number / 1e5 for number in range(400)]
    rows = pyarrow.table({"distance": distance, "far": [int(each >= 0.5) for each in distance]})
    pyarrow.parquet.write_table(rows, folder / "rows.parquet")
    open_folder("hdfs:///mine/rows").upload(folder / "rows.parquet", "part-0.parquet")
    (folder / "mine.py").write_text(MODEL)
    (folder / "job.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "mine",
                "data": {
                    "path": "hdfs:///mine/rows",
                    "preprocess": "mine:prepare",
                    "args": {"factor": 0.01},
                    "features": ["x"],
                    "label": "far",
                    "validation": {"fraction": 0.2},
                },
                "model": {"build": "mine:build_model", "args": {"units": 4}},
                "training": {"engine": "horovod", "workers": 2, "epochs": 2, "batch_size": 16},
                "cluster": {"slots_timeout": 200, "worker_memory": "1400m"},
                "output": {"path": "hdfs:///mine/models"},
            }
        )
    )
    return folder


@pytest.fixture(scope="module")
def begin(home):
    """Begins a submit from the user's folder; its answer waits for the end."""
    begun = []

    def start(options: list[str], *words: str, **variables: str):
        command = [
            ROOT / "spark-submit.sh",
            "--executor-memory",
            "512m",
            "--conf",
            "spark.sql.shuffle.partitions=2",
            "--conf",
            "spark.ui.enabled=false",
            *SHORT_LIVED,
            *options,
            ROOT / "jobs" / "train.py",
            "--config",
            "job.yaml",
            *words,
        ]
        process = subprocess.Popen(
            command,
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "VIRTUAL_ENV": sys.prefix, "SPARK_LOCAL_IP": "127.0.0.1", **variables},
        )
        begun.append(process)

        def end() -> End:
            output, errors = process.communicate(timeout=SECONDS)
            assert output, errors
            return End(process.returncode, json.loads(output.splitlines()[-1]), errors, home)

        end.process = process
        return end

    yield start
    for process in begun:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def submit(begin):
    return lambda options, *words, **variables: begin(options, *words, **variables)()


@pytest.fixture(scope="module")
def oldest_spark():
    """The home of Spark 4.0.1, installed once into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparktrain" / "spark-4.0.1"
    if not cache.exists():
        scratch = cache.with_name(f"{cache.name}.{os.getpid()}")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", scratch, "pyspark==4.0.1"],
            check=True,
            timeout=SECONDS,
        )
        try:
            scratch.rename(cache)
        except OSError:  # another test session has just installed it
            assert cache.exists()
            shutil.rmtree(scratch)
    return str(cache / "pyspark")
