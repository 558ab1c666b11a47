"""Will a flight leave late? A TensorFlow loop for one machine, and beside it the same on the workers of a Spark job.

python examples/tensorflow_legacy.py flights.parquet
./spark-submit.sh examples/tensorflow_ported.py hdfs:///data/flights.parquet
"""

import sys

import keras
import sparktrain
import tensorflow as tf
from pyspark.sql import SparkSession

INPUTS = ["month", "hour", "distance"]


def main(worker):
    batches = worker.dataset(batch_size=64)

    normalize = keras.layers.Rescaling([1 / 12, 1 / 24, 1 / 5000])
    hidden = keras.layers.Dense(32, activation="relu")
    model = worker.distribute(keras.Sequential([keras.Input((len(INPUTS),)), normalize, hidden, keras.layers.Dense(1)]))
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function(reduce_retracing=True)
    def step(x, late):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)[:, 0]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(late, tf.float32), logits))
        gradients = worker.average(tape.gradient(loss, model.trainable_variables), rows=tf.shape(x)[0])
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    for epoch in range(3):
        for x, late in batches:
            loss = step(x, late)
        print(f"epoch {epoch + 1}: loss {loss:.4f}")
    return model


if __name__ == "__main__":
    frame = SparkSession.builder.getOrCreate().read.parquet(sys.argv[1])
    model, *_ = sparktrain.run(main, workers=2, data=frame, features={"x": INPUTS}, label="late")
    model.save("late.keras")
