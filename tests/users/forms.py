"""A user's module: models that show what came in, and one that is trained further."""

import time

INPUTS = {
    "numbers": ((6,), "float32"),
    "flag": ((1,), "bool"),
    "whole": ((1,), "int32"),
    "big": ((1,), "int64"),
    "vector": ((3,), "float32"),
    "image": ((3, 2), "int32"),
    "grid": ((2, 2), "float32"),
    "mixed": ((4,), "float32"),
    "words": ((5,), "int32"),
    "tail": ((5,), "int32"),
    "kind": ((1,), "string"),
    "tags": ((3,), "string"),
    "picture": ((), "string"),
}


def picture_layer():
    """A layer that makes PNG files of 1 x 2 grey pixels numbers; its class is registered, so that a saved model loads."""
    import keras
    import tensorflow as tf

    @keras.saving.register_keras_serializable("forms")
    class Picture(keras.layers.Layer):
        def call(self, files):
            tf.debugging.assert_type(files, tf.string)
            pixels = tf.map_fn(lambda file: tf.io.decode_png(file, channels=1), files, fn_output_signature=tf.uint8)
            return tf.cast(tf.reshape(pixels, (-1, 2)), tf.float32)

        def compute_output_shape(self, shape):
            return shape[0], 2

    return Picture(name="pixels")


def build_seen():
    """Gives its inputs back; of each a metric sums weight * (label + 1) * (1st number + 2 * 2nd number + ...)."""
    import keras
    from keras import ops

    class Seen(keras.metrics.Metric):
        def __init__(self, name, start, size):
            super().__init__(name=name)
            self.start, self.size = start, size
            self.total = self.add_variable((), "zeros", dtype="float64", name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            mine = ops.cast(y_pred[:, self.start : self.start + self.size], "float64")
            of_row = ops.sum(mine * ops.arange(1, self.size + 1, dtype="float64"), axis=-1)
            label = ops.reshape(ops.cast(y_true, "float64"), (-1,))
            weight = ops.reshape(ops.cast(sample_weight, "float64"), (-1,))
            self.total.assign_add(ops.sum(weight * (label + 1) * of_row))

        def result(self):
            return self.total

    inputs = {name: keras.Input(shape, name=name, dtype=dtype) for name, (shape, dtype) in INPUTS.items()}
    lookups = {"kind": ["no", "yes", "maybe"], "tags": ["a", "b", "c"]}
    numbers = {
        name: picture_layer()(value)
        if name == "picture"
        else keras.layers.StringLookup(vocabulary=lookups[name])(value)
        if name in lookups
        else value
        for name, value in inputs.items()
    }
    flat = [keras.layers.Flatten()(ops.cast(value, "float32")) for value in numbers.values()]
    sizes = [each.shape[-1] for each in flat]
    same = keras.layers.Dense(sum(sizes), use_bias=False, kernel_initializer="identity")
    output = same(keras.layers.Concatenate()(flat))
    model = keras.Model(inputs, output)
    metrics = [Seen(name, sum(sizes[:place]), sizes[place]) for place, name in enumerate(INPUTS)]

    def loss(y_true, y_pred):
        return ops.mean(ops.square(y_pred), -1)  # of anything: nothing is to be learnt

    model.compile(keras.optimizers.SGD(0.0), loss, weighted_metrics=metrics)
    return model


def build_classifier(classes):
    import keras

    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(classes, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def hang():
    """Callbacks: in its second epoch a worker makes no further step."""
    import keras

    class Hang(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                time.sleep(300)

    return [Hang()]
