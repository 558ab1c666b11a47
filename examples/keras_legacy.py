"""Will a flight leave late? A Keras script for one machine, and beside it the same on the workers of a Spark job.

python examples/keras_legacy.py flights.parquet
./spark-submit.sh examples/keras_ported.py hdfs:///data/flights.parquet
"""

import sys

import keras
import pandas

INPUTS = ["month", "hour", "distance"]


def main():
    rows = pandas.read_parquet(sys.argv[1])
    x, y = rows[INPUTS].to_numpy("float32"), rows["late"].to_numpy()

    model = keras.Sequential(
        [
            keras.Input((len(INPUTS),)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["AUC"])
    history = model.fit(x, y, batch_size=64, epochs=3, verbose=2)
    print(f"AUC {history.history['AUC'][-1]:.3f}")
    return model


if __name__ == "__main__":
    model = main()
    model.save("late.keras")
