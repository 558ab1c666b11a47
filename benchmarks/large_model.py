"""Does a model of more than 2 GiB of weights get to the workers, between them, and onto the storage?

An embedding of 2.05 GiB that isn't trained, and a small layer that is, handed to `train` as a compiled model: it goes by the
storage to two workers of an engine, which are brought to one start, train, and leave the whole model. Prints the seconds of
each phase and the memory of each worker, and loads what came out. Needs 23 GiB of memory and 12 GB of disk.

    python benchmarks/large_model.py [--gib 2.05] [--engine horovod]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

import numpy
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

WIDTH = 1024
_GIVE_BACK = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"  # else TensorFlow keeps what it has freed: once more a model after loading it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=2.05)
    parser.add_argument("--engine", default="horovod")
    options = parser.parse_args()
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ[_GIVE_BACK] = "true"
    import keras
    import tensorflow

    import sparktrain

    words = int(options.gib * 2**30 / 4 / WIDTH)
    spark = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    spark = spark.config(f"spark.executorEnv.{_GIVE_BACK}", "true").getOrCreate()
    frame = spark.range(2000).select((F.col("id") % words).cast("int").alias("word"), (F.col("id") % 2).alias("label"))
    x = keras.Input((1,), dtype="int32", name="word")
    # Zeros at first: random numbers in such an amount need twice the memory while they are made.
    known = keras.layers.Embedding(words, WIDTH, "zeros", trainable=False, name="words")(x)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(known)))
    model.compile("sgd", "binary_crossentropy")
    some = numpy.linspace(0, words - 1, 1000, dtype="int32")
    rows = numpy.random.default_rng(7).random((len(some), WIDTH), dtype="float32")
    model.get_layer("words").embeddings.value.scatter_update(tensorflow.IndexedSlices(rows, some))
    with tempfile.TemporaryDirectory(prefix="sparktrain-large-") as folder:
        result = sparktrain.train(
            frame, model, features=["word"], label="label", engine=options.engine, workers=2, epochs=1, output=f"file://{folder}"
        )
        first = model.get_layer("words").get_weights()[0]
        size = os.path.getsize(f"{result.output.removeprefix('file://')}/model.keras")
        print({name: result.summary[name] for name in ("seconds", "parameters", "peak_memory")})
        del model
        loaded = result.model.get_layer("words").get_weights()[0]
        print(f"model.keras has {size / 2**30:.2f} GiB; its embedding is the one given: {numpy.array_equal(loaded, first)}")
    spark.stop()


if __name__ == "__main__":
    main()
