"""The mean over the workers, by rows, of values of any shapes and sizes."""

from __future__ import annotations

import numpy as np
import pytest

from sparktrain.interfaces.collective import Collective

pytestmark = pytest.mark.real


class Twin(Collective):
    """Two workers that always have the same values; remembers how large the tensors were that it summed."""

    rank, size = 0, 2

    def __init__(self):
        self.sizes, self.gathered = [], False

    def sum_tensors(self, tensors):
        self.sizes += [tensor.shape.num_elements() for tensor in tensors]
        return [2 * tensor for tensor in tensors]

    def gather_tensors(self, tensor, counts):
        import tensorflow as tf

        self.gathered = True
        return tf.concat([tensor, tensor], axis=0)

    gather = broadcast = is_echo = None

    def close(self):
        pass


@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_large_values_are_summed_in_pieces_and_come_back_whole(monkeypatch, piece):
    import tensorflow as tf

    from sparktrain.training.tensorflow import means

    monkeypatch.setattr(means, "_PIECE", piece)
    twin = Twin()
    values = [tf.random.normal((5, 4)), None, tf.cast(tf.random.normal((3,)), tf.float16), tf.ones((), tf.float64)]
    got = means.means(values, tf.constant(3.0), twin)
    assert max(twin.sizes) <= piece and (len(twin.sizes) > 2) == (piece == 7)
    for value, mean in zip(values, got):
        assert mean is None if value is None else mean.dtype == value.dtype
        if value is not None:
            np.testing.assert_allclose(mean.numpy(), value.numpy(), rtol=1e-3)


def looked_up(table, ids):
    """The gradient of the mean of some rows of a table, by a tf.function of its own, as models have."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(table, ids) ** 2)
    return tape.gradient(loss, table)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("ids, few, whole", [([1, 3, 1], 100, False), ([1, 3, 1, 0, 2], 0, True), ([3], 0, False)])
def test_the_gradient_of_an_embedding_stays_the_rows_that_were_looked_up_where_they_are_fewer(
    monkeypatch, nested, ids, few, whole
):
    import tensorflow as tf

    from sparktrain.training.tensorflow import means

    monkeypatch.setattr(means, "_FEW", few)
    table, twin = tf.Variable(np.arange(8, dtype=np.float32).reshape(4, 2)), Twin()
    gradient = tf.function(looked_up) if nested else looked_up
    averaged = tf.function(lambda some, rows: means.means([gradient(table, some)], rows, twin)[0])
    mean = averaged(tf.constant(ids), tf.constant(3.0))
    assert isinstance(mean, tf.IndexedSlices)
    np.testing.assert_allclose(tf.convert_to_tensor(mean), tf.convert_to_tensor(looked_up(table, ids)), rtol=1e-6)
    # Twice each row, or the table
    assert sorted(mean.indices.numpy()) == ([0, 1, 2, 3] if whole else sorted(2 * ids))
    assert not averaged(tf.constant(ids), tf.constant(0.0)).values.shape[0] or whole  # no rows: nothing of them


def test_a_gradient_whose_shape_is_known_only_as_it_runs_comes_back_in_it():
    import tensorflow as tf

    from sparktrain.training.tensorflow.means import means

    value = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    unknown = tf.TensorSpec(None)
    got = tf.function(lambda some: means([some, tf.ones(3)], 2.0, Twin()), input_signature=[unknown])(value)
    np.testing.assert_allclose(got[0], value)
    np.testing.assert_allclose(got[1], np.ones(3))
