"""How many rows a second does a trained model score, beside pyspark's predict_batch_udf and a bare loop of Keras's predict?

Two executors of one core. Rows of 10 and of 784 floats in Parquet, a small dense model and a larger one, in batches of 1,024; the
scores are summed, so that every row is computed and nothing is written. Each way reads the same files and has loaded its model
before it is timed. The bare loop is one process with one thread for TensorFlow, over arrays in memory: its figure is doubled, as
two such processes would be.

    python benchmarks/scoring.py [--rows 200000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import FloatType
from report import Measured, Target, report

import sparktrain

BATCH = 1024
EXECUTORS = 2
BARE = """
import os, sys, time
os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="2")
import keras, numpy
path, width, rows, batch = sys.argv[1], *map(int, sys.argv[2:])
model = keras.models.load_model(path)
x = numpy.random.default_rng(1).standard_normal((rows, width), "float32")
model.predict(x[:4 * batch], batch_size=batch, verbose=0)
begun = time.perf_counter()
model.predict(x, batch_size=batch, verbose=0)
print(rows / (time.perf_counter() - begun))
"""


def build(width: int, units: int):
    import keras

    x = keras.Input((width,), name="x")
    hidden = keras.layers.Dense(units, activation="relu")(keras.layers.Dense(units, activation="relu")(x))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("sgd", "binary_crossentropy")
    return model


def write_rows(folder: Path, rows: int, width: int) -> None:
    """Eight files of rows with `x`, an array of floats, and `y`, 0 or 1."""
    folder.mkdir()
    random = numpy.random.default_rng(7)
    for number in range(8):
        x = random.standard_normal((rows // 8) * width, "float32")
        offsets = numpy.arange(0, len(x) + 1, width, dtype="int32")
        table = pyarrow.table({"x": pyarrow.ListArray.from_arrays(offsets, x), "y": random.integers(0, 2, rows // 8)})
        pyarrow.parquet.write_table(table, folder / f"part-{number}.parquet")


def by_udf(model: Path, width: int) -> Callable:
    """A way of a Spark user without sparktrain."""

    def load():
        import keras

        loaded = keras.models.load_model(str(model))
        return lambda x: loaded.predict_on_batch(x)[:, 0]

    return predict_batch_udf(load, return_type=FloatType(), batch_size=BATCH, input_tensor_shapes=[[width]])


def rate(frame, column: str, rows: int) -> float:
    begun = time.perf_counter()
    frame.agg(F.sum(column)).collect()
    return rows / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master(f"local-cluster[{EXECUTORS},1,2048]")
        .appName("scoring")
        .config("spark.ui.enabled", "false")
        .config("spark.executor.memory", "2g")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    measured, targets = [], []
    with tempfile.TemporaryDirectory(prefix="sparktrain-scoring-") as folder:
        for width in (10, 784):
            source = Path(folder) / f"rows-{width}"
            write_rows(source, options.rows, width)
            frame = spark.read.parquet(f"file://{source}")
            for size, units in (("small", 16), ("larger", 512)):
                run = sparktrain.train(
                    frame.limit(2000),
                    build,
                    args={"width": width, "units": units},
                    features=["x"],
                    label="y",
                    engine="single",
                    epochs=1,
                    batch_size=256,
                    output=f"file://{folder}/models",
                )
                model = Path(run.output.removeprefix("file://")) / "model.keras"
                ways = {
                    "sparktrain.score": (sparktrain.score(frame, run, output="probability", keep=[]), "probability"),
                    "predict_batch_udf": (frame.select(by_udf(model, width)("x").alias("p")), "p"),
                }
                for scored, column in ways.values():  # loads the models
                    rate(scored, column, options.rows)
                rates: dict[str, list[float]] = {name: [] for name in ways}
                for _ in range(options.repeats):
                    for name, (scored, column) in ways.items():
                        rates[name].append(rate(scored, column, options.rows))
                words = [sys.executable, "-c", BARE, str(model), str(width), str(options.rows), str(BATCH)]
                bare = [EXECUTORS * float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)]
                where = f"{width} floats, {size} model"
                measured += [
                    Measured(f"{where}: {name}", "1,000 rows/s", [one / 1000 for one in each]) for name, each in rates.items()
                ]
                measured.append(Measured(f"{where}: Keras's predict, twice", "1,000 rows/s", [one / 1000 for one in bare]))
                own, other = measured[-3], measured[-2]
                targets.append(Target(f"{where}: sparktrain.score beside predict_batch_udf", own.median / other.median, 1.0))
    spark.stop()
    report("scoring", "How many rows a second does a trained model score?", measured, targets)


if __name__ == "__main__":
    main()
