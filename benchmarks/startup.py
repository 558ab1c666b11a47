"""How long from a submit on YARN to the first step, and what takes the time?

The sandbox's YARN on this machine; one small job, submitted with nothing packaged, with the environment
packaged and for the first time on its nodes, and again, in client and in cluster mode.

    python benchmarks/startup.py
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import yaml
from report import RESULTS

from sparktrain.sandbox import Sandbox
from sparktrain.storage import open_folder

ROOT = Path(__file__).resolve().parent.parent
PACKAGED = ["--conf", "spark.sparktrain.packages=hdfs:///envs"]
WAYS = {
    "client, nothing packaged": [],
    "client, packaged, the nodes' first time": PACKAGED,
    "client, packaged": PACKAGED,
    "cluster, packaged": ["--deploy-mode", "cluster", *PACKAGED],
}
PHASES = {  # of the run's summary
    "slots": "its executors",
    "prepare": "reading",
    "fill": "filling",
    "start workers": "workers join, build",
}
MODEL = """
def build():
    import keras

    x = keras.Input((8,), name="x")
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile("adam", "binary_crossentropy")
    return model
"""


def submit(home: Path, options: list[str]) -> dict[str, float]:
    """Seconds of each part, in their order."""
    begun = time.time()
    command = [
        ROOT / "spark-submit.sh",
        "--master",
        "yarn",
        "--num-executors",
        "2",
        "--executor-memory",
        "512m",
        *options,
        ROOT / "jobs" / "train.py",
        "--config",
        "job.yaml",
    ]
    done = subprocess.run(
        command, cwd=home, capture_output=True, text=True, timeout=570, check=False, env={**os.environ, "VIRTUAL_ENV": sys.prefix}
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    summary = json.loads(open_folder(json.loads(done.stdout.splitlines()[-1])["output"]).read_text("summary.json"))
    run = datetime.fromisoformat(summary["finished"]).timestamp() - summary["wall"]
    return {"launcher, Spark, driver": run - begun, **{words: summary["seconds"][name] for name, words in PHASES.items()}}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sparktrain-startup-") as folder:
        home = Path(folder)
        with Sandbox(home / "sandbox") as sandbox:
            sandbox.start("yarn")
            os.environ["HADOOP_CONF_DIR"] = str(sandbox.conf_dir)
            x = numpy.random.default_rng(7).random((1000, 8), "float32")
            pyarrow.parquet.write_table(
                pyarrow.table({"x": list(x), "y": (x[:, 0] > 0.5).astype("int32")}), home / "rows.parquet"
            )
            open_folder("hdfs:///rows").upload(home / "rows.parquet", "rows.parquet")
            (home / "mine.py").write_text(MODEL)
            (home / "job.yaml").write_text(
                yaml.safe_dump(
                    {
                        "name": "startup",
                        "data": {"path": "hdfs:///rows", "features": ["x"], "label": "y"},
                        "model": {"build": "mine:build"},
                        "training": {"workers": 2, "epochs": 1},
                        "cluster": {"worker_memory": "1400m"},
                        "output": {"path": "hdfs:///models"},
                    }
                )
            )
            begun = time.time()
            subprocess.run(
                [sys.executable, "-P", "-m", "sparktrain.cli.command", "package", "--to", "hdfs:///envs"],
                check=True,
                timeout=570,
                stdout=subprocess.DEVNULL,
            )
            packing = time.time() - begun
            parts = {way: submit(home, options) for way, options in WAYS.items()}
    columns = list(next(iter(parts.values())))
    lines = [
        "# From a submit on YARN to the first step",
        "",
        f"{os.cpu_count()} cores for all of it: HDFS, YARN, driver and executors. {platform.machine()}, Python "
        f"{platform.python_version()}. Made by `python benchmarks/startup.py`; seconds, one run of each. Packing took "
        f"{packing:.0f} s, once.",
        "",
        f"| | {' | '.join(columns)} | first step |",
        f"| --- |{' ---: |' * (len(columns) + 1)}",
    ]
    lines += [
        f"| {way} | {' | '.join(f'{value:.1f}' for value in each.values())} | {sum(each.values()):.1f} |"
        for way, each in parts.items()
    ]
    print("\n".join(lines))
    (RESULTS / "startup.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
