"""A user's module: models and callbacks that the workers train."""

from __future__ import annotations

import os
import sys
import time
import zlib

import keras
import tensorflow as tf


def _inputs():
    return keras.Input((4,), name="x"), keras.Input((1,), name="row")


def _optimizer(name, **arguments):
    return {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[name](**arguments)


def dense(
    optimizer="sgd",
    rate=0.1,
    clipnorm=None,
    steps_per_execution=1,
    accumulate=None,
    start_by_rank=False,
    policy="float32",
    weighted=False,
    table=False,
):
    keras.config.set_dtype_policy(policy)
    if start_by_rank:
        keras.utils.set_random_seed(int(os.environ["SPARKTRAIN_RANK"]))
    x, row = _inputs()
    hidden = keras.layers.Dense(6, activation="tanh")(x)
    if table:  # whose rows repeat in a batch
        ids = keras.ops.cast(keras.ops.mod(row, 7), "int32")
        hidden = keras.layers.Concatenate()([hidden, keras.layers.Flatten()(keras.layers.Embedding(50, 3)(ids))])
    output = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = keras.Model({"x": x, "row": row}, output)
    model.compile(
        _optimizer(optimizer, learning_rate=rate, clipnorm=clipnorm, gradient_accumulation_steps=accumulate),
        "binary_crossentropy",
        metrics=[keras.metrics.AUC(name="auc"), "accuracy"],
        weighted_metrics=[keras.metrics.AUC(name="weighted_auc")] if weighted else None,
        steps_per_execution=steps_per_execution,
    )
    return model


class Worst(keras.metrics.Metric):
    """Keeps a maximum, which is no sum over rows."""

    def __init__(self):
        super().__init__(name="worst")
        self.value = self.add_variable((), "zeros", aggregation="mean", name="value")

    def update_state(self, y_true, y_pred):
        self.value.assign(keras.ops.maximum(self.value, keras.ops.max(keras.ops.abs(y_true - y_pred))))

    def result(self):
        return self.value


class Counting(keras.Model):
    """A training step of its own, and a metric that shows a row missed or seen twice."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ids = keras.metrics.Sum(name="ids", dtype="float64")
        self.worst = Worst()

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            prediction = self(x, training=True)
            label = tf.cast(y, tf.float32)[:, None]
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(label, prediction))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.ids.update_state(x[1])
        self.worst.update_state(label, prediction)
        return {"ids": self.ids.result(), "worst": self.worst.result(), "loss_of_step": loss}

    def test_step(self, data):
        self.ids.update_state(data[0][1])
        return {"ids": self.ids.result()}


def counting(optimizer="sgd", rate=0.1):
    x, row = _inputs()
    hidden = keras.layers.Dense(6, activation="tanh")(x)
    model = Counting([x, row], keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(_optimizer(optimizer, learning_rate=rate))
    return model


def normalized():
    """Statistics and random numbers: BatchNormalization and Dropout."""
    x, row = _inputs()
    hidden = keras.layers.Dropout(0.2)(keras.layers.BatchNormalization()(keras.layers.Dense(6)(x)))
    model = keras.Model([x, row], keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    return model


class Rows(keras.metrics.Metric):
    """Counts rows, in whole numbers."""

    def __init__(self):
        super().__init__(name="rows")
        self.count = self.add_variable((), "zeros", dtype="int32", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(keras.ops.shape(y_true)[0])

    def result(self):
        return keras.ops.cast(self.count, "float32")


class Drawing(keras.layers.Dropout):
    """Prints what each device drops."""

    def call(self, inputs, training=False):
        if training and (device := tf.distribute.get_replica_context()) is not None:
            kept = super().call(tf.ones((1, 32)), training=True)
            tf.print("device", device.replica_id_in_sync_group, "keeps", kept, output_stream=sys.stdout, summarize=-1)
        return inputs


def each_device():
    """What every device of a worker has of its own: statistics, random numbers, a metric's counts."""
    x, row = _inputs()
    normal = keras.layers.BatchNormalization(momentum=0.9, name="normal")(row)
    model = keras.Model([x, row], keras.layers.Dense(1, activation="sigmoid")(Drawing(0.5)(normal)))
    model.compile("sgd", "binary_crossentropy", metrics=[Rows()])
    return model


def failing():
    raise KeyError("the builder's own mistake")


class Breaking(keras.layers.Layer):
    """Fails in training: as it is traced, or as a step is made."""

    def __init__(self, within_step):
        super().__init__()
        self.within_step = within_step

    def call(self, inputs, training=False):
        if training and not self.within_step:
            raise ZeroDivisionError("the layer's own mistake")
        return tf.ensure_shape(tf.numpy_function(self.divided, [inputs], tf.float32), inputs.shape) if training else inputs

    def divided(self, values):
        raise ZeroDivisionError("the layer's own mistake")


def breaking(within_step):
    x, row = _inputs()
    model = keras.Model([x, row], keras.layers.Dense(1, activation="sigmoid")(Breaking(within_step)(x)))
    model.compile("sgd", "binary_crossentropy")
    return model


def exploding():
    return dense(rate=float("nan"))


class Seen(keras.callbacks.Callback):
    """Prints what a user's callback sees."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def on_epoch_end(self, epoch, logs=None):
        shown = " ".join(f"{key}={value!r}" for key, value in sorted(logs.items()))
        weights = zlib.crc32(b"".join(value.tobytes() for value in self.model.get_weights()))
        rate = float(self.model.optimizer.learning_rate)
        print(f"{self.name} epoch={epoch} {shown} rate={rate:.6g} weights={weights}", flush=True)


class OnlyFirst(Seen):
    only_rank_0 = True


class StopInside(keras.callbacks.Callback):
    """Asks on rank 1 to stop in the middle of the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if os.environ.get("SPARKTRAIN_RANK") == "1" and self.epoch == 1 and batch == 2:
            self.model.stop_training = True

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


class Checkpointing(keras.callbacks.ModelCheckpoint):
    def on_train_begin(self, logs=None):
        print("checkpointing here", flush=True)


class Classes(keras.callbacks.Callback):
    """Prints the scheduler's class of the training's own thread, and how many threads are of the batch class."""

    def on_epoch_end(self, epoch, logs=None):
        threads = [os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")]
        print(f"normal={os.sched_getscheduler(0) == os.SCHED_OTHER} batch={threads.count(os.SCHED_BATCH)}", flush=True)


def classes():
    return [Classes()]


def watching():
    return [Seen("everywhere"), OnlyFirst("first"), Checkpointing("checkpoint.keras")]


def stopping():
    return [Seen("everywhere"), StopInside()]


class FailLater(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if os.environ.get("SPARKTRAIN_RANK") == "1" and batch == 3:
            raise ZeroDivisionError("rank 1's own mistake")


class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.05)


def fail_on_one():
    return [FailLater()]


class Marking(keras.callbacks.Callback):
    """Keeps what no checkpoint has."""

    def on_epoch_begin(self, epoch, logs=None):
        self.mark = object()

    def on_train_batch_end(self, batch, logs=None):
        assert self.mark


def slowly():
    return [Slow()]


def scheduling():
    return [keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate), Marking()]


def everywhere():
    return [Seen("everywhere")]


def wide():
    model = keras.Sequential([keras.Input((784,), name="x"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-4), "mse")
    return model
