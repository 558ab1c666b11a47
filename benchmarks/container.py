"""Does a job whose rows are five times its container's memory train under YARN's check of physical memory?

The sandbox's YARN, whose NodeManagers end a container that takes more than it asked for. One worker; its rows lie in segments
on the node's disk. Beside it the same job with a container that is too small for any training process, to see that the check
is on, and what a user is told then. Needs 35 GB of disk.

    python benchmarks/container.py [--times 5]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from report import RESULTS

from sparktrain.cluster import overhead_needed
from sparktrain.sandbox import Sandbox
from sparktrain.storage import open_folder

ROOT = Path(__file__).resolve().parent.parent
HEAP, WORKER, WIDTH = 1024, 1600, 2500  # MiB, MiB, floats a row
TOO_SMALL, BESIDE = 512, 64  # MiB of heap, and beside it nothing for a worker
MODEL = f"""
def build():
    import keras

    x = keras.Input(({WIDTH},), name="x")
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile("sgd", "binary_crossentropy")
    return model
"""


def submit(home: Path, heap: int, worker: str, rows: int, *more: str) -> dict:
    command = [
        ROOT / "spark-submit.sh",
        "--master",
        "yarn",
        "--num-executors",
        "1",
        "--executor-memory",
        f"{heap}m",
        "--conf",
        "spark.shuffle.compress=false",
        *more,
        ROOT / "jobs" / "train.py",
        "--config",
        "job.yaml",
        "--set",
        f"cluster.worker_memory={worker}",
        "--set",
        f"data.args.rows={rows}",
    ]
    done = subprocess.run(
        command,
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
        timeout=1500,
        check=False,
        env={**os.environ, "VIRTUAL_ENV": sys.prefix},
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=float, default=5, help="rows, as a multiple of the container's memory")
    options = parser.parse_args()
    container = HEAP + overhead_needed(f"{WORKER}m", {"spark.executor.memory": f"{HEAP}m"})
    rows = int(options.times * container * 2**20 / (4 * WIDTH)) + 1
    with tempfile.TemporaryDirectory(prefix="sparktrain-container-") as folder:
        home = Path(folder)
        with Sandbox(home / "sandbox") as sandbox:
            sandbox.start("yarn")
            os.environ["HADOOP_CONF_DIR"] = str(sandbox.conf_dir)
            (home / "mine.py").write_text(
                MODEL
                + f"""

def prepare(frame, rows):
    return frame.sparkSession.sql(
        f"SELECT array_repeat(cast(rand(7) AS float), {WIDTH}) AS x, id % 2 AS y FROM range(0, {{rows}}, 1, 8)")
"""
            )
            (home / "job.yaml").write_text(
                yaml.safe_dump(
                    {
                        "name": "container",
                        "data": {
                            "sql": "SELECT 1",
                            "preprocess": "mine:prepare",
                            "args": {"rows": 1},
                            "features": ["x"],
                            "label": "y",
                            "keep": "none",
                        },
                        "model": {"build": "mine:build"},
                        "training": {"engine": "single", "epochs": 2, "batch_size": 1024},
                        "output": {"path": "hdfs:///models"},
                    }
                )
            )
            fits = submit(home, HEAP, f"{WORKER}m", rows)
            ended = submit(home, TOO_SMALL, "null", 10_000, "--conf", f"spark.executor.memoryOverhead={BESIDE}m")
            if fits["status"] != "finished":
                raise SystemExit(fits["reason"])
            summary = json.loads(open_folder(fits["output"]).read_text("summary.json"))
    lines = [
        "# Rows that are larger than a worker's container",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. Made by `python benchmarks/"
        "container.py`; YARN's NodeManagers check physical memory every half second.",
        "",
        "| | |",
        "| --- | ---: |",
        f"| container, MiB: heap {HEAP}, worker {WORKER}, the JVM's own | {container:,} |",
        f"| rows on the worker's disk, MiB | {summary['disk'][0] / 2**20:,.0f} |",
        f"| times the container | {summary['disk'][0] / 2**20 / container:.1f} |",
        f"| the training process at most, MiB | {summary['peak_memory'][0] / 2**20:,.0f} |",
        f"| epochs | {summary['epochs']} |",
        f"| how it ended | {fits['status']} |",
        "",
        f"In a container of {TOO_SMALL + BESIDE} MiB, which leaves nothing for a worker, the same job ended so: "
        f"{ended['status']}: {ended.get('reason')}",
    ]
    print("\n".join(lines))
    (RESULTS / "container.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
