"""The collective of which another thread may ask for how long it waits."""

from __future__ import annotations

import inspect
import threading

import pytest

from sparktrain.interfaces.collective import Collective, TimedCollective


class Recording(Collective):
    """Notes how it is called, and answers once it may."""

    rank, size = 1, 3

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.may = threading.Event()
        self.may.set()

    def _called(self, *call):
        self.calls.append(call)
        self.may.wait(10)
        return call

    def sum_tensors(self, tensors):
        return self._called("sum_tensors", tensors)

    def gather_tensors(self, tensor, counts):
        return self._called("gather_tensors", tensor, counts)

    def gather(self, value):
        return self._called("gather", value)

    def broadcast(self, value):
        return self._called("broadcast", value)

    def is_echo(self, error):
        return self._called("is_echo", error)

    def close(self):
        self._called("close")


@pytest.mark.parametrize("name", sorted(Collective.__abstractmethods__))
def test_every_call_is_the_inner_ones_with_what_it_was_given(name):
    inner = Recording()
    timed = TimedCollective(inner)
    given = [f"argument {number}" for number in range(len(inspect.signature(getattr(Collective, name)).parameters) - 1)]
    returned = getattr(timed, name)(*given)
    assert inner.calls == [(name, *given)] and returned in (None, (name, *given))
    assert (timed.rank, timed.size) == (1, 3)


def test_a_call_that_has_not_returned_counts_as_waiting_and_one_that_has_does_not():
    inner = Recording()
    inner.may.clear()
    timed = TimedCollective(inner)
    assert timed.waiting == 0
    caller = threading.Thread(target=timed.gather, args=("x",))
    caller.start()
    while not timed.waiting:
        assert caller.is_alive()
    inner.may.set()
    caller.join(10)
    assert timed.waiting == 0
