"""Will a flight leave late? A Keras script for one machine, and beside it the same on the workers of a Spark job.

python examples/keras_legacy.py flights.parquet
./spark-submit.sh examples/keras_ported.py hdfs:///data/flights.parquet
"""

import sys

import keras
import sparktrain
from pyspark.sql import SparkSession

INPUTS = ["month", "hour", "distance"]


def main(worker):
    rows = worker.dataset(batch_size=64)

    model = keras.Sequential(
        [
            keras.Input((len(INPUTS),)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["AUC"])
    history = worker.distribute(model).fit(rows, epochs=3, verbose=2)
    print(f"AUC {history.history['AUC'][-1]:.3f}")
    return model


if __name__ == "__main__":
    frame = SparkSession.builder.getOrCreate().read.parquet(sys.argv[1])
    model, *_ = sparktrain.run(main, workers=2, data=frame, features={"x": INPUTS}, label="late")
    model.save("late.keras")
