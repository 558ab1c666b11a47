from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed import BadInput
from sparktrain.feed.padding import pad

IDS = pa.array([[1], [2, 3], [4, 5, 6], []], pa.list_(pa.int32()))


def test_by_default_sequences_are_padded_and_cut_at_the_front_as_keras_does(column):
    # The values of keras.utils.pad_sequences' own documentation.
    assert column(IDS, length=3).tolist() == [[0, 0, 1], [0, 2, 3], [4, 5, 6], [0, 0, 0]]


def test_longer_sequences_keep_their_end(column):
    assert column(IDS, length=2).tolist() == [[0, 1], [2, 3], [5, 6], [0, 0]]


def test_post_pads_and_cuts_at_the_end(column):
    assert column(IDS, length=2, side="post", pad=-1).tolist() == [[1, -1], [2, 3], [4, 5], [-1, -1]]


@given(
    st.lists(st.lists(st.integers(-5, 5), max_size=9), min_size=1, max_size=12),
    st.integers(1, 8),
    st.sampled_from(["pre", "post"]),
    st.integers(1, 2),
)
def test_padding_many_at_once_is_padding_each(sequences, length, side, width):
    wide = [np.repeat(np.array(sequence, int)[:, None], width, 1) for sequence in sequences]
    offsets = np.cumsum([0, *map(len, sequences)])
    expected = np.full((len(sequences), length, width), 9)
    for row, sequence in zip(expected, wide):
        if side == "pre":
            kept = sequence[-length:]
            row[length - len(kept) :] = kept
        else:
            kept = sequence[:length]
            row[: len(kept)] = kept
    assert (pad(np.concatenate(wide), offsets, length, 9, side) == expected).all()


def test_sequences_of_vectors_are_padded_on_their_first_axis(column):
    array = pa.array([[], [[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]], pa.list_(pa.list_(pa.float32())))
    rows = column(array, length=2, pad=-1)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[[-1, -1], [-1, -1]], [[-1, -1], [1, 2]], [[5, 6], [7, 8]]]


def test_batches_in_which_all_sequences_are_empty_wait_for_one_that_shows_the_shape(column):
    kind = pa.list_(pa.list_(pa.float32()))
    rows = column(pa.array([[], []], kind), pa.array([[[1.0, 2.0]]], kind), pa.array([[]], kind), length=1)
    assert rows.tolist() == [[[0, 0]], [[0, 0]], [[1, 2]], [[0, 0]]]


def test_a_part_of_only_empty_sequences_of_vectors_asks_for_the_shape(column):
    empty = pa.array([[], []], pa.list_(pa.list_(pa.float32())))
    with pytest.raises(BadInput, match=r"'x'.*all 2 rows of this part are empty.*`shape`, \[3, \.\.\.\]"):
        column(empty, length=3)
    assert column(empty, length=3, shape=(3, 2)).shape == (2, 3, 2)


def test_padding_what_is_no_array_is_refused(column):
    with pytest.raises(BadInput, match="'x'.*only arrays can be padded"):
        column(pa.array([1, 2]), length=3)


def test_a_fraction_does_not_pad_whole_numbers(column):
    with pytest.raises(BadInput, match="pad is 0.5.*whole numbers"):
        column(IDS, length=3, pad=0.5)
