"""Which way to train is best for a job? The same rows and seed by every engine, number of workers, split and average.

    ./spark-submit.sh jobs/compare.py --config conf/compare.yaml [--set training.epochs=3]… [--workers 1 2]
        [--engines horovod tensorflowonspark] [--splits rows epochs] [--averages step epoch] --to docs/comparison

Leaves TO.md (the table), TO.csv (every epoch) and TO.png, after each way with what is known by then. A way that fails is told
there with its reason; the exit status is then 1.
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
from rich.text import Text

from sparktrain.config import Job, load
from sparktrain.display import make_console
from sparktrain.driver import failed, show
from sparktrain.interfaces import ENGINES
from sparktrain.runs import exit_status
from sparktrain.search import Failure, Outcome, compare, markdown, metric_of, picture, table_csv, variants


def average(text: str) -> str | int:
    if text not in ("step", "epoch") and not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} came; expected step, epoch or a number of steps")
    return int(text) if text.isdigit() else text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="the job that all have in common, in YAML")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one key of it")
    parser.add_argument("--engines", nargs="+", choices=tuple(ENGINES), default=["horovod", "tensorflowonspark"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--splits", nargs="+", choices=["rows", "epochs"], default=["rows", "epochs"])
    parser.add_argument("--averages", nargs="+", type=average, default=["step", "epoch"], help="step, epoch or numbers of steps")
    parser.add_argument(
        "--metric",
        default="auc",
        help="a metric of the model, by its name in the history; its first one if it has none of this name",
    )
    parser.add_argument("--to", default="comparison", help="where the table and the picture go, without an ending")
    options = parser.parse_args()
    console = make_console()
    begun = time.monotonic()
    try:
        return draw(options, console)
    except Exception as error:
        result, details = failed(error, "compare", None, time.monotonic() - begun)
        show(result, details, console)
        return exit_status(result)


def draw(options: argparse.Namespace, console: Console) -> int:
    """Train in every way; what is known so far is in the files after each.

    Returns:
        The exit status.
    """
    job = load(options.config, options.set)
    ways = variants(options.engines, options.workers, options.splits, options.averages)
    outcomes: list[Outcome] = []
    failures: list[Failure] = []
    spark = SparkSession.builder.appName(f"compare {job.name}").getOrCreate()
    try:
        for each in compare(spark, job, ways, options.config, lambda text: console.rule(text)):
            if isinstance(each, Failure):
                failures.append(each)
                console.print(Text(f"{each.variant.name} failed: {each.reason}\n{each.details}"))
            else:
                outcomes.append(each)
            text = leave(options, job, outcomes, failures, spark.sparkContext.master)
    finally:
        spark.stop()
    console.print(Markdown(text))
    print(Path(options.to).with_suffix(".md"))
    return 1 if failures else 0


def leave(options: argparse.Namespace, job: Job, outcomes: list[Outcome], failures: list[Failure], master: str) -> str:
    """Write TO.md, TO.csv and TO.png; the text of the first."""
    to = Path(options.to)
    rows = f" of {outcomes[0].rows_per_epoch:,} rows" if outcomes else ""
    title = f"{job.name}: {job.training.epochs} epochs{rows}"
    metric = metric_of(outcomes[0], options.metric) if outcomes else options.metric
    text = "\n".join(
        [
            f"# {title}",
            "",
            f"Made by `{shlex.join(['./spark-submit.sh', 'jobs/compare.py', *sys.argv[1:]])}` on {os.cpu_count()} cores "
            f"({platform.machine()}), Python {platform.python_version()}; one run after the other, on the same prepared rows, with "
            "the same seed.",
            "",
            "Seconds are those of training, speed-up is over one worker. A worker's batch is the same throughout, so N workers "
            "with `average: step` take steps of N batches. A worker has "
            f"the cores of one executor ({master}).",
            "",
            markdown(outcomes, metric, failures),
        ]
    )
    if outcomes:
        to.with_suffix(".csv").write_text(table_csv(outcomes))
        try:
            to.with_suffix(".png").write_bytes(picture(outcomes, metric, title))
            text += f"![loss and {metric} by time and by rows]({to.name}.png)\n"
        except ModuleNotFoundError as error:
            text += f"No picture was drawn: {error}\n"
    to.with_suffix(".md").write_text(text)
    return text


if __name__ == "__main__":
    sys.exit(main())
