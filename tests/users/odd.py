"""A user's module: a model of everything that models may be."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("odd")
class Scaled(keras.layers.Layer):
    """A layer of the user's own, with a weight that isn't trained."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.fixed = self.add_weight(shape=(), initializer="ones", trainable=False, name="fixed")

    def call(self, inputs):
        return inputs * ops.cast(self.scale * self.fixed, inputs.dtype)


@keras.saving.register_keras_serializable("odd")
def squared(y_true, y_pred):
    return ops.mean(ops.square(ops.cast(y_true, "float32") / 300 - y_pred), axis=-1)


@keras.saving.register_keras_serializable("odd")
class Ids(keras.metrics.Metric):
    """Sums the labels."""

    def __init__(self, name="ids", **words):
        super().__init__(name=name, **words)
        self.total = self.add_variable((), "zeros", dtype="float32", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(ops.sum(ops.cast(y_true, "float32")))

    def result(self):
        return self.total


def build(named):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        first, second = keras.Input((4,), name="x"), keras.Input((4,), name="z")
        shared = keras.layers.Dense(8, activation="tanh")
        both = keras.layers.Concatenate()([shared(first), shared(second)])
        both = keras.layers.BatchNormalization()(Scaled()(both))
        sure = keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="sure")(both)
        count = keras.layers.Dense(1, dtype="float32", name="count")(both)
        outputs = {"sure": sure, "count": count} if named else [sure, count]
        model = keras.Model([first, second], outputs)
        losses, metrics = ["binary_crossentropy", squared], [["accuracy"], [Ids()]]
        rate = keras.optimizers.schedules.ExponentialDecay(0.05, 20, 0.9)
        model.compile(
            keras.optimizers.Adam(rate, clipnorm=1.0),
            dict(zip(("sure", "count"), losses)) if named else losses,
            metrics=dict(zip(("sure", "count"), metrics)) if named else metrics,
            steps_per_execution=2,
        )
        return model
    finally:
        keras.config.set_dtype_policy("float32")


def build_stateful():
    model = keras.Sequential(
        [
            keras.Input((4, 1), batch_size=8),
            keras.layers.LSTM(2, stateful=True, name="memory"),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    return model
