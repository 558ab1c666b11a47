"""What does a checkpoint after every epoch cost training, by the size of the model?

One worker on one core, dense layers with Adam (a checkpoint has the weights and twice as much of the optimizer's), epochs of
`--steps` steps of 64 rows. With checkpoints to a local disk and without, in processes of their own at the same time, each on
one core and on the other in the next pair: so that a machine whose speed changes from minute to minute changes both. The time
of an epoch is that from its predecessor's end to its own, so what a checkpoint holds up counts, and what its writing takes
from training on the same core.

    python benchmarks/checkpoints.py [--megabytes 10 100] [--steps 200] [--epochs 3] [--repeats 2]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from overhead import STEPS, WIDTH
from report import Measured, Target, report
from scaling import BATCH, segments

INPUTS, CLASSES = STEPS * WIDTH, 10


def build(megabytes: int):
    """Two dense layers whose float32 weights have about that size."""
    import keras

    # units² + (INPUTS + CLASSES) units = weights
    weights, linear = megabytes * 1e6 / 4, INPUTS + CLASSES
    units = int((math.sqrt(linear**2 + 4 * weights) - linear) / 2)
    x = keras.Input((STEPS, WIDTH), name="x")
    hidden = keras.layers.Dense(units, "relu")(keras.layers.Dense(units, "relu")(keras.layers.Flatten()(x)))
    model = keras.Model(x, keras.layers.Dense(CLASSES, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def work(megabytes: int, keep: int, core: int, shard: str, epochs: int, output: str) -> None:
    """One process: prints when each epoch ended, and each checkpoint."""
    os.sched_setaffinity(0, {core})
    from sparktrain import engines, feed
    from sparktrain.interfaces import Checkpointed, EpochEnd, Fit, Order, Output, Source, TrainingSpec
    from sparktrain.training import train

    order = Order(
        spec=TrainingSpec(
            run="checkpoints",
            engine="single",
            model=Source(function="checkpoints:build", args={"megabytes": megabytes}),
            fit=Fit(epochs=epochs, batch_sizes=(BATCH,), keep_checkpoints=keep),
            seed=7,
            output=Output(f"file://{output}"),
        ),
        rank=0,
        size=1,
        part=0,
        environment={},
        feed={},
    )

    def told(message: Any) -> None:
        if isinstance(message, EpochEnd):
            print(json.dumps({"ended": time.perf_counter()}), flush=True)
        if isinstance(message, Checkpointed):
            print(json.dumps({"held": message.held, "bytes": message.bytes}), flush=True)

    train(order, feed.Shard.from_json(json.loads(shard)), engines.collective("single"), told)
    sys.stdout.flush()
    os._exit(0)


def measure(megabytes: int, keep: int, core: int, shard: str, epochs: int) -> tuple[list[float], list[dict[str, float]]]:
    """Seconds of each epoch after the first, and what each checkpoint was."""
    with tempfile.TemporaryDirectory(prefix="sparktrain-checkpoints-") as output:
        command = [sys.executable, __file__, "--work", str(megabytes), str(keep), str(core), shard, str(epochs), output]
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # as a run gives its training processes
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parent), *filter(None, sys.path)]),
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ends = [each["ended"] for each in told if "ended" in each]
    if len(ends) != epochs:
        raise SystemExit(f"the training failed:\n{done.stderr[-3000:]}")
    return [end - before for before, end in itertools.pairwise(ends)], [each for each in told if "held" in each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--steps", type=int, default=200, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--work", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        megabytes, keep, core, shard, epochs, output = options.work
        work(int(megabytes), int(keep), int(core), shard, int(epochs), output)
    if options.repeats % 2:
        parser.error("--repeats must be even: each way runs as often on either core")
    measured, targets = [], []
    with tempfile.TemporaryDirectory(prefix="sparktrain-checkpoints-") as folder:
        [shard] = segments(Path(folder), options.steps * BATCH, 1)
        for size in options.megabytes:
            seconds: dict[int, list[float]] = {0: [], 2: []}
            held: list[float] = []
            written = 0.0
            for turn in range(options.repeats):
                with concurrent.futures.ThreadPoolExecutor() as pool:
                    both = {
                        keep: pool.submit(measure, size, keep, core, shard, options.epochs)
                        for keep, core in zip(seconds, (0, 1) if turn % 2 else (1, 0))
                    }
                for keep, each in both.items():
                    took, checkpoints = each.result()
                    seconds[keep] += took
                    held += [one["held"] for one in checkpoints]
                    written = max([written, *(one["bytes"] for one in checkpoints)])
                    print(f"{size} MB, keep {keep}:", [f"{one:.1f}" for one in took], flush=True)
            measured += [
                Measured(f"a model of {size} MB, without checkpoints", "s an epoch", seconds[0]),
                Measured(f"a model of {size} MB, a checkpoint of {written / 1e6:,.0f} MB an epoch", "s an epoch", seconds[2]),
                Measured(f"  of which training waits for the copy, {size} MB", "s", held),
            ]
            targets.append(Target(f"{size} MB: with over without", measured[-2].median / measured[-3].median, 1.02, at_most=True))
    report("checkpoints", "A checkpoint after every epoch", measured, targets)


if __name__ == "__main__":
    main()
