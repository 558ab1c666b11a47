"""Which machine is broken? A loop of one's own trains an autoencoder on sound machines: what it can't rebuild is odd.

./spark-submit.sh examples/own_loop.py file:///tmp/examples/sensors.parquet
"""

import sys

import numpy
import sparktrain
from pyspark.sql import SparkSession


def fit(worker, patience):
    """Train until the validation loss no longer falls; every worker stops in the same epoch."""
    import keras
    import tensorflow as tf

    layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3), keras.layers.Dense(16, activation="relu")]
    model = worker.distribute(keras.Sequential([keras.Input((32,)), *layers, keras.layers.Dense(32)]))  # one start for all
    optimizer = keras.optimizers.Adam(0.01)
    batches, held_out = worker.dataset(batch_size=32), worker.validation(batch_size=256)

    def loss_of(windows, training):
        return tf.reduce_mean(tf.square(model(windows, training=training) - windows))

    @tf.function(reduce_retracing=True)
    def step(windows):
        with tf.GradientTape() as tape:
            loss = loss_of(windows, training=True)
        # By rows, as the last batch of a worker may be smaller, or empty
        gradients = worker.average(tape.gradient(loss, model.trainable_variables), rows=tf.shape(windows)[0])
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))

    losses = []
    while len(losses) <= patience or min(losses[-patience:]) < min(losses[:-patience]):
        for windows in batches:
            step(windows)
        totals = [(len(windows) * float(loss_of(windows, training=False)), len(windows)) for windows in held_out if len(windows)]
        gathered = [pair for pairs in worker.gather(totals) for pair in pairs]  # of all workers, so all of them decide alike
        losses.append(sum(total for total, _ in gathered) / sum(rows for _, rows in gathered))
        if worker.rank == 0:
            print(f"epoch {len(losses)}: {losses[-1]:.4f} by step {optimizer.iterations.numpy()}")
        if len(losses) == 10:
            break
    return model, losses


if __name__ == "__main__":
    frame = SparkSession.builder.getOrCreate().read.parquet(sys.argv[1])
    (model, losses), *_ = sparktrain.run(
        fit,
        workers=2,
        data=frame.where("NOT broken"),
        features=["window"],
        validation={"fraction": 0.2},
        args={"patience": 2},
    )
    rows = frame.toPandas()  # few; a table of millions is scored by Spark, as the README shows
    windows = numpy.stack(rows["window"])
    errors = ((model.predict(windows, verbose=0) - windows) ** 2).mean(axis=1)
    print(f"rebuilt to {errors[~rows['broken']].mean():.3f}, of broken machines to {errors[rows['broken']].mean():.3f}")
