"""How many rows a second do jobs train on by each engine, beside TensorFlowOnSpark fed its own way?

Two executors of one core, rows of 784 floats in Parquet, a small dense model in batches of 1,024, three epochs: rows times
epochs over the seconds from the first row read to the last epoch's end (filling, starting the workers, training).
TensorFlowOnSpark's own way feeds its nodes a row at a time, each epoch anew; there the nodes only make arrays of the rows.

    python benchmarks/engines.py [--rows 150000] [--fed-rows 8000] [--repeats 2]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from feed import ROW_BYTES, WIDTH, WORKERS, row_feed, start_spark, write_rows
from pyspark.sql import SparkSession
from report import Measured, Target, report

EPOCHS = 3


def build():
    import keras

    model = keras.Sequential([keras.Input((WIDTH,), name="x"), keras.layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def train(spark: SparkSession, source: str, engine: str, rows: int) -> tuple[float, float]:
    """Rows/s of a whole job, and of filling alone."""
    import sparktrain

    result = sparktrain.train(
        spark.read.parquet(source),
        build,
        features=["x"],
        label="y",
        engine=engine,
        workers=WORKERS,
        batch_size=1024,
        epochs=EPOCHS,
    )
    result.delete()
    seconds = result.summary["seconds"]
    whole = seconds["fill"] + seconds["start workers"] + seconds["train"]
    return EPOCHS * rows / whole, rows / seconds["fill"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--fed-rows", type=int, default=8_000, help="for TensorFlowOnSpark's own way, which is slow")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    here = str(Path(__file__).resolve().parent)
    own, whole, filling = [], {"horovod": [], "tensorflowonspark": []}, {"horovod": [], "tensorflowonspark": []}
    with tempfile.TemporaryDirectory(prefix="sparktrain-engines-") as folder:
        source, some = Path(folder) / "rows", Path(folder) / "some"
        write_rows(source, options.rows)
        write_rows(some, options.fed_rows)
        spark = start_spark("engines", here)
        url = f"file://{source}"
        train(spark, url, "horovod", options.rows)  # warm: code compiled, files cached
        for _ in range(options.repeats):
            own.append(row_feed(spark, f"file://{some}", options.fed_rows) * 1e6 / ROW_BYTES)
            for engine in whole:
                rate, filled = train(spark, url, engine, options.rows)
                whole[engine].append(rate)
                filling[engine].append(filled)
        spark.stop()
    measured = [Measured(f"{engine}, a whole job", "rows/s", rates) for engine, rates in whole.items()]
    measured += [Measured(f"{engine}, filling alone", "rows/s", rates) for engine, rates in filling.items()]
    measured.append(Measured("TensorFlowOnSpark fed its own way, a row at a time", "rows/s", own))
    by_name = {each.name: each.median for each in measured}
    fed = measured[-1].median
    report(
        "engines",
        f"Two workers, rows of {WIDTH} floats, {EPOCHS} epochs",
        measured,
        [
            Target(
                "a job by tensorflowonspark over TensorFlowOnSpark's own feed",
                by_name["tensorflowonspark, a whole job"] / fed,
                30,
            ),
            Target("a job by horovod over TensorFlowOnSpark's own feed", by_name["horovod, a whole job"] / fed, 30),
        ],
    )


if __name__ == "__main__":
    main()
