"""What does the second run of an application still wait for, and do many runs leave anything behind?

An LSTM over 40,000 rows of 8 x 6 floats, two workers of one core each: a first run, a second over the same rows, a third over others,
each by its parts up to the first step. Then `--runs` short runs, and what the application holds before and after them.

    python benchmarks/warm.py [--runs 50]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import threading
import time
from pathlib import Path

import numpy
import psutil
import pyarrow
import pyarrow.parquet
from pyspark.sql import DataFrame, SparkSession
from report import RESULTS

import sparktrain

ROWS = 40_000
PARTS = {"slots": "its executors", "prepare": "preparing", "fill": "filling", "start workers": "workers start, join, build"}


def build(units: int = 64):
    import keras

    x = keras.Input((8, 6), name="x")
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(keras.layers.LSTM(units)(x)))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def note_first_step(path: str):
    """Callbacks: write down when the first step has ended."""
    import keras

    class First(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if not os.path.exists(path):
                with open(path, "w") as file:
                    file.write(str(time.time()))

    return [First()]


def rows(spark: SparkSession, folder: Path, seed: int, count: int = ROWS) -> DataFrame:
    x = numpy.random.default_rng(seed).standard_normal((count, 48), "float32")
    nested = pyarrow.FixedSizeListArray.from_arrays(pyarrow.FixedSizeListArray.from_arrays(x.reshape(-1), 6), 8)
    label = (x[:, :6].sum(1) > 0).astype("int32")
    pyarrow.parquet.write_table(pyarrow.table({"x": nested, "y": label}), folder / f"rows-{seed}.parquet")
    return spark.read.parquet(f"file://{folder}/rows-{seed}.parquet")


def run(frame: DataFrame, folder: Path, name: str) -> dict[str, float]:
    """Train once; return the seconds of each part, and to the end of the first step."""
    first = str(folder / f"{name}-first")
    begun = time.time()
    result = sparktrain.train(
        frame,
        build,
        features=["x"],
        label="y",
        engine="horovod",
        workers=2,
        batch_size=256,
        epochs=2,
        callbacks=lambda: note_first_step(first),
        output=f"file://{folder}/{name}",
    )
    seconds = {words: result.summary["seconds"].get(part, 0.0) for part, words in PARTS.items()}
    return {**seconds, "first step": float(Path(first).read_text()) - begun, "whole run": time.time() - begun}


def held() -> dict[str, float]:
    """What this application holds: of the driver and of all that it has started."""
    me = psutil.Process()
    started = me.children(recursive=True)
    executors = [each for each in started if "--executor-id" in each.cmdline()]
    return {
        "processes": len(started),
        "threads of the driver": threading.active_count(),
        "open files of the driver": me.num_fds(),
        "driver, MB resident": me.memory_info().rss / 1e6,
        "driver's JVM, MB resident": me.children()[0].memory_info().rss / 1e6,
        "executors' JVMs, MB resident": sum(each.memory_info().rss for each in executors) / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=50, help="how many short runs follow; default: 50")
    options = parser.parse_args()
    spark = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory(prefix="sparktrain-warm-") as temporary:
        folder = Path(temporary)
        same, other = rows(spark, folder, 1), rows(spark, folder, 2)
        runs = {
            "first": run(same, folder, "first"),
            "second, the same rows": run(same, folder, "second"),
            "third, other rows": run(other, folder, "third"),
        }
        few = rows(spark, folder, 3, 2_000)
        for number in range(5):
            run(few, folder, f"before-{number}")
        before, begun = held(), time.monotonic()
        for number in range(options.runs):
            run(few, folder, f"short-{number}")
        each = (time.monotonic() - begun) / max(1, options.runs)
        time.sleep(5)
        after = held()
    columns = list(runs["first"])
    lines = [
        "# The second run of an application",
        "",
        f"Made by `python benchmarks/warm.py`: {ROWS:,} rows of 8 x 6 floats, LSTM(64), two workers of one core each by Horovod, on "
        f"{os.cpu_count()} cores. {platform.machine()}, Python {platform.python_version()}; seconds, one run of each.",
        "",
        f"| run | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
        *(f"| {name} | {' | '.join(f'{value:.1f}' for value in each.values())} |" for name, each in runs.items()),
        "",
        f"What the application holds after five short runs, and after {options.runs} more ({each:.1f} s each):",
        "",
        "| | before | after |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {value:,.0f} | {after[name]:,.0f} |" for name, value in before.items()),
    ]
    print("\n".join(lines))
    (RESULTS / "warm.md").write_text("\n".join(lines) + "\n")
    spark.stop()


if __name__ == "__main__":
    main()
