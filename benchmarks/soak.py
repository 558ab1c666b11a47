"""Does a run that loses something every minute come to the same end as one that loses nothing?

Two Horovod workers under Spark, rows and model on the sandbox's HDFS, a checkpoint every few steps. About once a minute
something random is ended: a training process, its task's Python process, an executor, a DataNode (started again), the NameNode
(for a few seconds), or a training process is only stopped, until the run notices that it stalls. The model draws random numbers
and keeps batch statistics, so a row that is lost or trained on twice shows in its weights. Each step waits, so that the run
takes its minutes (at least, or it is told); the run that nothing befalls doesn't wait.

    python benchmarks/soak.py [--minutes 20] [--seconds-between 60] [--seed 7]
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy
import psutil
from report import RESULTS

from sparktrain.sandbox import Sandbox

ROWS, VALIDATION, BATCH, STEP_SECONDS, STALL = 6400, 0.2, 32, 0.5, 15.0
WORKERS = 2


def build():
    """Random numbers of each worker's own, momentum and batch statistics: all that an attempt has to bring back."""
    import keras

    x = keras.Input((4,), name="x")
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8, activation="relu")(x))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.5)(hidden)))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")])
    return model


def slowly(folder: str):
    """Callbacks: every step waits, and each worker leaves the number of its process."""
    import keras

    rank = os.environ["SPARKTRAIN_RANK"]

    class Slowly(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch % 10 == 0:
                Path(folder, f"new-{rank}").write_text(f"{os.getpid()}")
                os.rename(f"{folder}/new-{rank}", f"{folder}/of-{rank}")  # whole, or not there
            time.sleep(STEP_SECONDS)

    return [Slowly()]


def is_worker(process: psutil.Process, run: str = "") -> bool:
    """Whether it trains, in a run of this id; its working folder has the run's name."""
    try:
        return {"sparktrain.worker", "sparktrain.template"} & {
            *process.cmdline()
        } != set() and f"sparktrain-{run}" in process.cwd()
    except psutil.Error:  # it has ended
        return False


class Harm(threading.Thread):
    """Does something random about every so many seconds, until told to end.

    Attributes:
        done: what was done, and how often.
        failed: what kept it from going on; None: nothing did.
    """

    def __init__(self, folder: Path, sandbox: Sandbox, seconds: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.done: Counter[str] = Counter()
        self.failed: Exception | None = None
        self._folder, self._sandbox, self._seconds = folder, sandbox, seconds
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._ways: dict[str, Callable[[], None]] = {
            "SIGKILL of a training process": lambda: self._family()[0].kill(),
            "SIGSTOP of a training process": lambda: self._family()[0].suspend(),
            "SIGKILL of a task's Python process": lambda: self._family()[1].kill(),
            "SIGKILL of an executor": lambda: self._family()[3].kill(),
            "SIGKILL of a DataNode, started again": self._lose_datanode,
            "the NameNode away for 5 s": self._lose_namenode,
        }

    def run(self) -> None:
        try:
            while not self._over.wait(self._seconds * self._random.uniform(0.75, 1.25)):
                what = self._random.choice(list(self._ways))
                try:
                    self._ways[what]()
                except (FileNotFoundError, psutil.NoSuchProcess, IndexError):  # nobody trains: it is between two attempts
                    continue
                self.done[what] += 1
                print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
        except Exception as error:
            self.failed = error

    def end(self) -> None:
        self._over.set()
        self.join(60)

    def _family(self) -> list[psutil.Process]:
        """A worker's process, its task's, Spark's daemon of those, and the executor."""
        rank = self._random.randrange(WORKERS)
        process = psutil.Process(int((self._folder / f"of-{rank}").read_text()))
        if not is_worker(process):
            raise psutil.NoSuchProcess(process.pid)  # its number has gone to another
        return [process, *process.parents()]

    def _lose_datanode(self) -> None:
        self._sandbox.kill(f"datanode-{self._random.randrange(1, 3)}")
        self._over.wait(10)
        self._sandbox.start()

    def _lose_namenode(self) -> None:
        self._sandbox.kill("namenode")
        self._over.wait(5)
        self._sandbox.start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20, help="that the broken run takes at least")
    parser.add_argument("--seconds-between", type=float, default=60)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    steps = int(ROWS * (1 - VALIDATION)) // (BATCH * WORKERS)  # of an epoch
    epochs = math.ceil(options.minutes * 60 * 0.85 / STEP_SECONDS / steps)  # the rest goes into what is lost and begun again
    with tempfile.TemporaryDirectory(prefix="sparktrain-soak-") as folder, Sandbox(Path(folder, "sandbox")) as sandbox:
        os.environ["HADOOP_CONF_DIR"] = str(sandbox.conf_dir)
        told, lines = run(Path(folder), sandbox, epochs, options)
    print("\n".join(lines))
    (RESULTS / "soak.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if told:
        raise SystemExit(told)


def run(folder: Path, sandbox: Sandbox, epochs: int, options: argparse.Namespace) -> tuple[str, list[str]]:
    """Both runs; what is wrong, if anything, and the table."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F
    from soak import build, slowly  # by their module's name, so that they can be shipped

    import sparktrain

    spark = SparkSession.builder.master(f"local-cluster[{WORKERS},1,1024]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    values = [F.cos(F.col("id") * number + number).cast("float") for number in (1.7, 2.9, 0.3, 5.1)]
    rows = spark.range(ROWS).select(F.array(*values).alias("x"))
    rows = rows.withColumn("y", (F.expr("0.5 * x[0] - x[1] + 2 * x[2] + 0.3 * sin(1e4 * x[3])") > 0).cast("int"))
    rows.write.parquet(f"{sandbox.uri}/rows")
    words = dict(
        features=["x"],
        label="y",
        workers=WORKERS,
        batch_size=BATCH,
        epochs=epochs,
        validation={"fraction": VALIDATION},
        checkpoint={"every": 20, "keep": 2},
        max_failures=1000,
        cluster={"stall_timeout": STALL},
        seed=options.seed,
    )

    def train(output: str, **more):
        began = time.monotonic()
        result = sparktrain.train(
            spark.read.parquet(f"{sandbox.uri}/rows"), build, output=f"{sandbox.uri}/{output}", **words, **more
        )
        return result, time.monotonic() - began

    unbroken, alone = train("unbroken")
    harm = Harm(folder, sandbox, options.seconds_between, options.seed)
    harm.start()
    where = str(folder)
    broken, took = train("broken", callbacks=lambda: slowly(where))
    harm.end()
    run_id = broken.output.rstrip("/").rpartition("/")[2]  # whoever lost its parent is no child any more
    left = [each.pid for each in psutil.process_iter() if is_worker(each, run_id)]
    same = {name: numpy.array_equal(unbroken.history[name], broken.history[name]) for name in unbroken.history}
    weights = all(map(numpy.array_equal, unbroken.model.get_weights(), broken.model.get_weights()))
    wrong = [f"{name} differs" for name, equal in same.items() if not equal]
    wrong += [] if weights else ["the weights differ"]
    wrong += [f"processes left: {left}"] if left else []
    wrong += [f"nothing more was ended after {dict(harm.done)}: {harm.failed!r}"] if harm.failed or not harm.done else []
    wrong += [f"the broken run took {took / 60:.1f} minutes only"] if took < 60 * options.minutes else []
    spark.stop()
    last = {name: values[-1] for name, values in broken.history.items()}
    lines = [
        "# A run that loses something every minute",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. Made by "
        f"`{' '.join(['python', 'benchmarks/soak.py', *sys.argv[1:]])}`.",
        "",
        "| | unbroken | broken |",
        "| --- | ---: | ---: |",
        f"| minutes | {alone / 60:.1f} | {took / 60:.1f} |",
        f"| attempts | {unbroken.attempts} | {broken.attempts} |",
        f"| epochs | {len(unbroken.history['loss'])} | {len(broken.history['loss'])} |",
        *(f"| last {name} | {unbroken.history[name][-1]:.10g} | {value:.10g} |" for name, value in last.items()),
        f"| all metrics of all epochs, and all weights | | {'the same, to the bit' if not wrong else '; '.join(wrong)} |",
        "",
        "| what was done | times |",
        "| --- | ---: |",
        *(f"| {what} | {times} |" for what, times in sorted(harm.done.items())),
    ]
    return "; ".join(wrong), lines


if __name__ == "__main__":
    main()
