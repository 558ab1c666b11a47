"""Objects come through sums of integers as they were."""

from __future__ import annotations

import numpy
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.interfaces import objects

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def among_workers(owned):
    """What each of several workers gets; they run one step after another, a sum at a time."""
    import threading

    barrier = threading.Barrier(len(owned))
    given_in = [None] * len(owned)
    got = [None] * len(owned)

    def worker(rank):
        def add(words):
            assert len(words) & (len(words) - 1) == 0
            given_in[rank] = words
            barrier.wait(10)
            total = numpy.sum(given_in, axis=0)
            barrier.wait(10)
            return total

        got[rank] = objects.exchange(owned[rank], count, add)

    count = sum(len(own) for own in owned)
    threads = [threading.Thread(target=worker, args=(rank,)) for rank in range(len(owned))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


@given(st.lists(values, min_size=1, max_size=3))
def test_every_worker_gets_every_object(given_values):
    got = among_workers([{rank: value} for rank, value in enumerate(given_values)])
    assert all(each == given_values for each in got)


def test_large_objects_go_in_pieces(monkeypatch):
    monkeypatch.setattr(objects, "_CHUNK", 64)
    large = numpy.random.default_rng(7).random(1000)
    first, second = among_workers([{0: large}, {}])
    assert (first[0] == large).all() and (second[0] == large).all()
