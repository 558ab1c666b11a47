"""A user's module: small models, a preprocessing, callbacks, and the ways in which a user's code fails."""

import os
import re
import signal
import time

TARGET = [0.5, -1.0, 2.0, 0.0]


def prepare(frame, scale=1.0):
    from pyspark.sql import functions as F

    return frame.withColumn("x", F.transform("x", lambda value: (value * F.lit(scale)).cast("float")))


def build(units=4, optimizer="sgd"):
    import keras

    x = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(units, activation="tanh")(x)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(optimizer, "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc"), "accuracy"])
    return model


def build_counting(rate=0.0):  # the label is a row's number; little is to be learnt
    """Its metric `ids` sums the rows' numbers, so an epoch that misses or repeats a row shows."""
    import keras

    class Ids(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="ids")
            self.total = self.add_variable((), "zeros", dtype="float32", name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(keras.ops.sum(y_true))

        def result(self):
            return self.total

    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse", metrics=[Ids()])
    model.optimizer.learning_rate = rate
    return model


def build_failing():
    raise KeyError(f"the builder's own mistake at {time.time()}")


def build_slow():
    """Trains long enough to be killed."""
    import keras

    class Slow(keras.layers.Layer):
        def call(self, inputs):
            import tensorflow as tf

            def wait(values):
                time.sleep(0.05)
                return values

            result = tf.numpy_function(wait, [inputs], tf.float32)
            result.set_shape(inputs.shape)
            return tf.stop_gradient(result)

    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(1)(Slow()(x)))
    model.compile("sgd", "mse")
    return model


def kill_one():
    """Callbacks: the worker of rank 1 is killed in its second epoch, as the kernel does for memory."""
    import keras

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1 and os.environ.get("SPARKTRAIN_RANK") == "1":
                print(f"killed at {time.time()}", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)

    return [Kill()]


def fail_one():
    """Callbacks: the worker of rank 1 raises in its second epoch."""
    import keras

    class Fail(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1 and os.environ.get("SPARKTRAIN_RANK") == "1":
                raise ZeroDivisionError(f"rank 1's own mistake at {time.time()}")

    return [Fail()]


def note_ranks():
    """Callbacks that a run must bear: one that watches every epoch's metrics."""
    import keras

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            print(f"epoch {epoch} loss {logs['loss']:.6f}")

    return [Note()]


def build_dropping(units=8):
    """Random numbers of each worker's own, momentum, and batch statistics: all that an attempt has to bring back."""
    import keras

    x = keras.Input((4,), name="x")
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(units, activation="relu")(x))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.5)(hidden)))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def kill_once(where, rank, epoch, step, checkpoint):
    """Callbacks: the worker of a rank is killed in an epoch (from 0), as a step begins, once: a file tells the next attempt.

    checkpoint: a pattern of files, one of which is waited for before.
    """
    import glob

    import keras

    class KillOnce(keras.callbacks.Callback):
        def on_epoch_begin(self, number, logs=None):
            self.number = number

        def on_train_batch_begin(self, batch, logs=None):
            here = (self.number, batch, os.environ.get("SPARKTRAIN_RANK")) == (epoch, step, str(rank))
            if here and not os.path.exists(where):
                open(where, "w").close()
                until = time.monotonic() + 30
                while not glob.glob(checkpoint) and time.monotonic() < until:
                    time.sleep(0.02)
                os.kill(os.getpid(), signal.SIGKILL)

    return [KillOnce()]


def wait_for_harm(folder, step, ranks):
    """Callbacks: in epoch n (from 0) the worker of rank ranks[n] waits, as a step begins, for what is to befall it, once.

    folder: where each worker notes its steps (time, process) in steps-RANK, and who waits, by its process, in waits-EPOCH; it
        goes on where there is passed-EPOCH. A worker whose training has ended leaves trained-RANK.
    """
    import keras

    rank = int(os.environ["SPARKTRAIN_RANK"])

    class WaitForHarm(keras.callbacks.Callback):
        def on_epoch_begin(self, number, logs=None):
            self.number = number

        def on_train_batch_begin(self, batch, logs=None):
            with open(f"{folder}/steps-{rank}", "a") as steps:
                steps.write(f"{time.time()} {os.getpid()}\n")
            mine = batch == step and self.number < len(ranks) and ranks[self.number] == rank
            if mine and not os.path.exists(f"{folder}/waits-{self.number}"):
                with open(f"{folder}/waiting", "w") as waits:
                    waits.write(str(os.getpid()))
                os.rename(f"{folder}/waiting", f"{folder}/waits-{self.number}")  # whole, or not there
                until = time.monotonic() + 60
                while not os.path.exists(f"{folder}/passed-{self.number}") and time.monotonic() < until:
                    time.sleep(0.05)

        def on_train_end(self, logs=None):
            open(f"{folder}/trained-{rank}", "w").close()

    return [WaitForHarm()]


def family(process):
    """A training process, its task's Python process, which names its work folder by its own number, the daemon, the executor."""
    import psutil

    task = psutil.Process(int(re.search(r"-pid([0-9]+)/", process.cwd())[1]))
    return [process, task, *task.parents()[:2]]


def outlive_the_executor(where):
    """Callbacks: the worker of rank 1 fails by what its executor's end has taken away, once: a file tells the next attempt.

    where: that file. PySpark's daemon is killed, too, so that it doesn't end the task's processes first.
    """
    import keras
    import psutil

    class Outlive(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if os.environ.get("SPARKTRAIN_RANK") == "1" and not os.path.exists(where):
                _, _, daemon, executor = family(psutil.Process())
                open(where, "w").close()
                daemon.kill()
                executor.kill()
                executor.wait(30)
                raise FileNotFoundError("a file of the container's")

    return [Outlive()]


def meet(folder, who, others):
    """Callbacks: when training begins, a worker tells that it is there, and waits until the others are there at the same time."""
    import keras

    class Meet(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            open(f"{folder}/{who}-is-there", "w").close()
            until = time.monotonic() + 120
            while not all(os.path.exists(f"{folder}/{other}-is-there") for other in others):
                assert time.monotonic() < until, f"{others} don't come"
                time.sleep(0.05)

    return [Meet()]


def linger(seconds=0.05):
    """Callbacks: each step takes so many seconds more."""
    import keras

    class Linger(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(seconds)

    return [Linger()]
