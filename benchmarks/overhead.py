"""What does training through sparktrain cost, beside the same Keras fit from memory, without Spark?

One worker, LSTM(64) over 28 steps of 28 floats, batch 64. Both sides train the same rows for the same epochs, each in
a process of its own with the same threads; the time is that of the epochs after the first, which compiles.

    python benchmarks/overhead.py [--rows 20000] [--epochs 4] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from report import Measured, Target, report

STEPS = WIDTH = 28
BATCH = 64


def build():
    """The model of both sides."""
    import keras

    x = keras.Input((STEPS, WIDTH), name="x")
    model = keras.Model(x, keras.layers.Dense(10, activation="softmax")(keras.layers.LSTM(64)(x)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def rows(count: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    random = numpy.random.default_rng(7)
    return random.random((count, STEPS, WIDTH), dtype="float32"), random.integers(0, 10, count, dtype="int32")


def plain(count: int, epochs: int) -> None:
    """The Keras fit from memory: prints the seconds of each epoch."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            import time

            self.begun = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            import time

            print(json.dumps({"seconds": time.perf_counter() - self.begun}), flush=True)

    x, y = rows(count)
    keras.utils.set_random_seed(7)
    build().fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[Clock()])


def worker(folder: Path, count: int, epochs: int) -> list[float]:
    """The same fit by sparktrain's child process, from segments: seconds of each epoch."""
    import pyarrow

    from sparktrain import feed
    from sparktrain.cluster import Child
    from sparktrain.interfaces import EpochEnd, Fit, Order, Output, Source, TrainingSpec

    x, y = rows(count)
    layout = feed.Layout(
        inputs=(feed.Input("x", (feed.Column("x", shape=(STEPS, WIDTH)),)),),
        label="y",
        classes=None,
        weight=None,
        validation=None,
    )
    writer = feed.SegmentWriter(folder / "segments", layout)
    offsets = numpy.arange(0, x.size + 1, STEPS * WIDTH, dtype="int32")
    writer.write(pyarrow.RecordBatch.from_pydict({"x": pyarrow.ListArray.from_arrays(offsets, x.reshape(-1)), "y": y}))
    filled = writer.close()
    shard = feed.Shard(folder / "segments", filled, feed.agree([filled.to_json()]), part=0, seed=7, batch_sizes=(BATCH,))
    ended: list[float] = []
    path = os.pathsep.join([str(Path(__file__).resolve().parent), *filter(None, sys.path)])
    child = Child(
        {**environment(), "PYTHONPATH": path},
        lambda message: ended.append(message.seconds) if isinstance(message, EpochEnd) else None,
        str(folder),
    )
    child.order(
        Order(
            spec=TrainingSpec(
                run="overhead",
                engine="single",
                model=Source(function="overhead:build"),
                fit=Fit(epochs=epochs, batch_sizes=(BATCH,)),
                seed=7,
                output=Output(f"file://{folder}/output"),
            ),
            rank=0,
            size=1,
            part=0,
            environment={},
            feed=shard.to_json(),
        )
    )
    outcome = child.wait()
    if not ended or len(ended) != epochs:
        raise SystemExit(f"the worker failed: {outcome}")
    return ended


def environment() -> dict[str, str]:
    threads = str(os.cpu_count())
    return {
        **os.environ,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain(options.rows, options.epochs)
        return
    ours, theirs = [], []
    for _ in range(options.repeats):
        command = [sys.executable, __file__, "--plain", "--rows", str(options.rows), "--epochs", str(options.epochs)]
        shown = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
        theirs += [json.loads(line)["seconds"] for line in shown.splitlines() if line.startswith("{")][1:]
        with tempfile.TemporaryDirectory(prefix="sparktrain-overhead-") as folder:
            ours += worker(Path(folder), options.rows, options.epochs)[1:]
    measured = [
        Measured("sparktrain, one worker, from segments", "seconds an epoch", ours),
        Measured("plain Keras fit, from memory", "seconds an epoch", theirs),
    ]
    report(
        "overhead",
        f"LSTM(64), batch {BATCH}, {options.rows:,} rows",
        measured,
        [
            Target("sparktrain over plain Keras", measured[0].median / measured[1].median, 1.05, at_most=True),
        ],
    )


if __name__ == "__main__":
    main()
