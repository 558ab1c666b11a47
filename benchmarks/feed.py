"""How fast do rows get from Parquet files to the workers, and from the workers' disks into batches?

Filling: Parquet files -> content hash -> shuffle to one partition a worker -> segments in hash order on local disks; or, of a prepared
frame, its buckets -> segments in hash order on local disks.
Beside it, over the same files on the same executors: a bare `repartition` + mapInArrow whose rows are dropped, and
TensorFlowOnSpark's own feed, a row at a time. Later epochs: batches of shuffled rows from the segments, beside two bare
readers of one memory-mapped file: one takes rows in random order, as training needs them; the other copies them in the
file's order, which shuffles nothing and shows what memory gives at most.

    python benchmarks/feed.py [--rows 200000] [--repeats 12]
"""

from __future__ import annotations

import argparse
import mmap
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from pyspark import TaskContext
from pyspark.sql import SparkSession
from report import Measured, Target, report

from sparktrain import feed
from sparktrain.config import Job
from sparktrain.data import ROW, VALIDATION, Prepared, deal, pack, prepare

WIDTH = 784  # floats a row
WORKERS = 2
BATCH = 64
WARM_UPS = 16  # by then the JVMs have compiled what matters; after 8, filling still became quicker with each run
ROW_BYTES = 4 * WIDTH
LAYOUT = feed.Layout(inputs=(feed.Input("x", (feed.Column("x"),)),), label="y", classes=None, weight=None, validation=VALIDATION)


def write_rows(folder: Path, rows: int, files: int = 8) -> None:
    """Write them to a new folder."""
    folder.mkdir()
    random = numpy.random.default_rng(7)
    for file in range(files):
        count = rows // files
        values = random.random(count * WIDTH, dtype="float32")
        offsets = numpy.arange(0, count * WIDTH + 1, WIDTH, dtype="int32")
        table = pyarrow.table(
            {
                "x": pyarrow.ListArray.from_arrays(offsets, values),
                "y": random.integers(0, 10, count, dtype="int32"),
            }
        )
        pyarrow.parquet.write_table(table, folder / f"part-{file}.parquet", compression="none", use_dictionary=False)


def fill(batches, folder, layout=LAYOUT):
    """As the training task does, up to where the child would begin; the segments stay."""
    writer = feed.SegmentWriter(tempfile.mkdtemp(dir=folder), layout)
    for batch in batches:
        writer.write(batch)
    writer.close()
    yield from ()


def drop(batches):
    for _ in batches:
        pass
    yield from ()


def feed_node(args, context):
    """TensorFlowOnSpark's own way: the training process takes rows from its queue, and makes arrays of them."""
    queue = context.get_data_feed(train_mode=True)
    while not queue.should_stop():
        rows = queue.next_batch(1024)
        numpy.array([x for x, _ in rows], "float32"), numpy.array([y for _, y in rows], "int32")


def seconds(function) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def take_memory(size: int) -> None:
    """Have bytes of memory at hand for what comes next.

    A virtual machine may hand free memory back to its host, and pay 2 s a GiB to have it again: without this, a way is
    the faster for coming behind one that has just freed much.
    """
    numpy.empty(size, "uint8")[:: mmap.PAGESIZE] = 1


def ours(spark: SparkSession, source: str) -> float:
    """Seconds of filling. What it has written is removed afterwards, as a run does after training."""
    with tempfile.TemporaryDirectory(prefix="sparktrain-feed-") as folder:
        return seconds(lambda: fill_by_spark(spark, source, folder))


def fill_by_spark(spark: SparkSession, source: str, folder: str) -> None:
    job = Job.from_mapping({"data": {"path": source, "features": ["x"], "label": "y"}})
    prepared = prepare(spark, job.data, seed=job.seed)
    dealt, sent = pack(deal(prepared.frame, WORKERS, job.seed))
    layout = replace(LAYOUT, order=ROW, sent=sent)
    dealt.mapInArrow(lambda batches: fill(batches, folder, layout), "part int", barrier=True).collect()
    prepared.release()


def in_buckets(spark: SparkSession, source: str, folder: str) -> Prepared:
    """Prepare the rows once, and store them."""
    job = Job.from_mapping({"data": {"path": source, "features": ["x"], "label": "y"}})
    prepared = prepare(spark, job.data, seed=job.seed)
    prepared.store(f"file://{folder}/buckets", job.seed)
    return prepared


def from_buckets(spark: SparkSession, prepared: Prepared) -> float:
    """Seconds of filling from a prepared frame."""
    with tempfile.TemporaryDirectory(prefix="sparktrain-feed-") as folder:
        return seconds(lambda: fill_from_buckets(spark, prepared, folder))


def fill_from_buckets(spark: SparkSession, prepared: Prepared, folder: str) -> None:
    layout = replace(LAYOUT, order=ROW)
    read = prepared.reader(WORKERS, False, {})

    def task(batches):
        for _ in batches:
            pass
        return fill(read(TaskContext.get().partitionId(), Path(folder)), folder, layout)

    spark.range(0, WORKERS, 1, WORKERS).mapInArrow(task, "part int", barrier=True).collect()


def bare(spark: SparkSession, source: str) -> None:
    frame = spark.read.parquet(source)
    frame.repartition(WORKERS).mapInArrow(drop, "part int", barrier=True).collect()


def row_feed(spark: SparkSession, source: str, rows: int) -> float:
    """MB/s of TensorFlowOnSpark's InputMode.SPARK; its nodes are up before the time begins."""
    from tensorflowonspark import TFCluster

    cluster = TFCluster.run(spark.sparkContext, feed_node, {}, WORKERS, num_ps=0, input_mode=TFCluster.InputMode.SPARK)
    took = seconds(lambda: cluster.train(spark.read.parquet(source).repartition(WORKERS).rdd.map(list), 1))
    cluster.shutdown()
    return rows * ROW_BYTES / 1e6 / took


def epochs(folder: Path, rows: int, repeats: int) -> tuple[list[float], list[float], list[float]]:
    """MB/s of one worker's later epochs: ours, and bare memory-mapped readers', in random and in the file's order."""
    writer = feed.SegmentWriter(folder / "segments", LAYOUT)
    random = numpy.random.default_rng(7)
    step = 10_000
    for _begin in range(0, rows, step):
        values = random.random(step * WIDTH, dtype="float32")
        offsets = numpy.arange(0, step * WIDTH + 1, WIDTH, dtype="int32")
        writer.write(
            pyarrow.RecordBatch.from_pydict(
                {
                    "x": pyarrow.ListArray.from_arrays(offsets, values),
                    "y": numpy.zeros(step, "int32"),
                    VALIDATION: numpy.zeros(step, bool),
                }
            )
        )
    filled = writer.close()
    shard = feed.Shard(folder / "segments", filled, feed.agree([filled.to_json()]), part=0, seed=7, batch_sizes=(BATCH,))
    plain = folder / "plain.bin"
    random.random(rows * WIDTH, dtype="float32").tofile(plain)

    def read_plain() -> None:
        mapped = numpy.memmap(plain, "float32", "r", shape=(rows, WIDTH))
        for begin in range(0, rows, BATCH):
            mapped[begin : begin + BATCH].copy()

    def read_shuffled() -> None:
        mapped = numpy.memmap(plain, "float32", "r", shape=(rows, WIDTH)).view(numpy.ndarray)
        order = random.permutation(rows)
        for begin in range(0, rows, BATCH):
            mapped.take(order[begin : begin + BATCH], axis=0)

    def read_ours(epoch: int) -> None:
        for _ in shard.epoch(epoch):
            pass

    size = rows * ROW_BYTES / 1e6
    read_plain(), read_shuffled(), read_ours(0)  # all from the page cache, as later epochs are
    got_ours, got_shuffled, got_plain = [], [], []
    for repeat in range(repeats):
        got_plain.append(size / seconds(read_plain))
        got_ours.append(size / seconds(lambda: read_ours(1 + repeat)))
        got_shuffled.append(size / seconds(read_shuffled))
    return got_ours, got_shuffled, got_plain


def start_spark(name: str, path: str = "") -> SparkSession:
    """Two executors of one core, for a benchmark; they find modules on the path."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master(f"local-cluster[{WORKERS},1,2048]")
        .appName(f"benchmark-{name}")
        .config("spark.ui.enabled", "false")
        .config("spark.shuffle.compress", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "4096")
        .config("spark.executorEnv.PYTHONPATH", os.pathsep.join([path, os.environ.get("PYTHONPATH", "")]))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    return spark


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--fed-rows", type=int, default=8_000, help="for the row feed, which is slow")
    parser.add_argument("--repeats", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sparktrain-feed-") as folder:
        got_epochs, shuffled_epochs, plain_epochs = epochs(Path(folder), options.rows // 2, 2 * options.repeats + 1)
        source, some = Path(folder) / "rows", Path(folder) / "some"
        write_rows(source, options.rows)
        write_rows(some, options.fed_rows)
        spark = start_spark("feed")
        url = f"file://{source}"
        size = options.rows * ROW_BYTES / 1e6
        prepared = in_buckets(spark, url, folder)
        filling, reading, dropping, feeding = [], [], [], []
        ways = [
            lambda: filling.append(size / ours(spark, url)),
            lambda: reading.append(size / from_buckets(spark, prepared)),
            lambda: dropping.append(size / seconds(lambda: bare(spark, url))),
            lambda: feeding.append(row_feed(spark, f"file://{some}", options.fed_rows)),
        ]
        for _ in range(WARM_UPS):
            ours(spark, url), from_buckets(spark, prepared), bare(spark, url)
        for repeat in range(options.repeats):
            for way in ways[:: (-1) ** repeat]:  # there and back, so that none always comes behind the same one
                take_memory(4 * options.rows * ROW_BYTES)
                way()
        spark.stop()
    measured = [
        Measured("filling: Parquet to segments", "MB/s", filling),
        Measured("filling from a prepared frame", "MB/s", reading),
        Measured("a bare repartition + mapInArrow, rows dropped", "MB/s", dropping),
        Measured("TensorFlowOnSpark, a row at a time", "MB/s", feeding),
        Measured("later epochs: shuffled batches from segments", "MB/s of one worker", got_epochs),
        Measured("a bare memory-mapped reader, in random order", "MB/s of one worker", shuffled_epochs),
        Measured("a bare memory-mapped reader, in file order", "MB/s of one worker", plain_epochs),
    ]
    filled, read, dropped, fed, ours_, shuffled, _ = (one.median for one in measured)
    report(
        "feed",
        f"Feeding rows of {WIDTH} floats to {WORKERS} workers",
        measured,
        [
            Target("filling over the row feed", filled / fed, 30),
            Target("filling over the bare stage", filled / dropped, 0.9),
            Target("filling from a prepared frame over the bare stage", read / dropped, 2),
            Target("epochs over the bare reader in random order", ours_ / shuffled, 0.8),
        ],
    )


if __name__ == "__main__":
    main()
