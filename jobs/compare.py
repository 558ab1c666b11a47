"""Which way to train is best for a job? The same rows and seed by every engine, number of workers, split and average.

    ./spark-submit.sh jobs/compare.py --config conf/compare.yaml [--set training.epochs=3]… [--workers 1 2]
        [--engines horovod tensorflowonspark] [--splits rows epochs] [--averages step epoch] --to docs/comparison

Leaves TO.md (the table), TO.csv (every epoch) and TO.png.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console
from rich.markdown import Markdown

from sparktrain.config import load
from sparktrain.driver.comparison import compare, markdown, picture, table_csv, variants
from sparktrain.driver.ending import failed, show
from sparktrain.driver.result import exit_status
from sparktrain.engines import ENGINES


def average(text: str) -> str | int:
    if text not in ("step", "epoch") and not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} came; expected step, epoch or a number of steps")
    return int(text) if text.isdigit() else text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="the job that all have in common, in YAML")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one key of it")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["horovod", "tensorflowonspark"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--splits", nargs="+", choices=["rows", "epochs"], default=["rows", "epochs"])
    parser.add_argument("--averages", nargs="+", type=average, default=["step", "epoch"], help="step, epoch or numbers of steps")
    parser.add_argument("--metric", default="auc", help="a metric of the model, by its name in the history")
    parser.add_argument("--to", default="comparison", help="where the table and the picture go, without an ending")
    options = parser.parse_args()
    console = Console(stderr=True)
    begun = time.monotonic()
    try:
        draw(options, console)
    except Exception as error:
        result, details = failed(error, "compare", None, time.monotonic() - begun)
        show(result, details, console)
        return exit_status(result)
    return 0


def draw(options: argparse.Namespace, console: Console) -> None:
    job = load(options.config, options.set)
    ways = variants(options.engines, options.workers, options.splits, options.averages)
    spark = SparkSession.builder.appName(f"compare {job.name}").getOrCreate()
    master = spark.sparkContext.master
    try:
        outcomes = compare(spark, job, ways, options.config, lambda text: console.rule(text))
    finally:
        spark.stop()
    command = shlex.join(["./spark-submit.sh", "jobs/compare.py", *sys.argv[1:]])
    title = f"{job.name}: {job.training.epochs} epochs of {outcomes[0].rows_per_epoch:,} rows"
    text = "\n".join([
        f"# {title}", "",
        f"Made by `{command}` on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}; one run "
        "after the other, on the same prepared rows, with the same seed.", "",
        "Seconds are those of training, speed-up is over one worker. A worker's batch is the same throughout, so N workers "
        "with `average: step` take steps of N batches. A worker has "
        f"the cores of one executor ({master}).", "",
        markdown(outcomes, options.metric),
        f"![loss and {options.metric} by time and by rows]({Path(options.to).name}.png)", "",
    ])
    to = Path(options.to)
    to.with_suffix(".md").write_text(text)
    to.with_suffix(".csv").write_text(table_csv(outcomes))
    to.with_suffix(".png").write_bytes(picture(outcomes, options.metric, title))
    console.print(Markdown(text))
    print(to.with_suffix(".md"))


if __name__ == "__main__":
    sys.exit(main())
