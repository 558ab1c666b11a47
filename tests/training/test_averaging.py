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
        self.sizes = []

    def sum_in_graph(self, tensors):
        self.sizes += [tensor.shape.num_elements() for tensor in tensors]
        return [2 * tensor for tensor in tensors]

    gather = broadcast = is_echo = None

    def close(self):
        pass


@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_large_values_are_summed_in_pieces_and_come_back_whole(monkeypatch, piece):
    import tensorflow as tf

    from sparktrain.training import averaging

    monkeypatch.setattr(averaging, "_PIECE", piece)
    twin = Twin()
    values = [tf.random.normal((5, 4)), None, tf.cast(tf.random.normal((3,)), tf.float16), tf.ones((), tf.float64)]
    got = averaging.means(values, tf.constant(3.0), twin)
    assert max(twin.sizes) <= piece and (len(twin.sizes) > 2) == (piece == 7)
    for value, mean in zip(values, got):
        assert mean is None if value is None else mean.dtype == value.dtype
        if value is not None:
            np.testing.assert_allclose(mean.numpy(), value.numpy(), rtol=1e-3)
