"""Numbers the sums of a graph, so that workers can match them."""

from __future__ import annotations

import weakref
from typing import Any

import tensorflow as tf

_BRANCHES = ("CondBranchFuncGraph", "WhileBodyFuncGraph", "WhileCondFuncGraph")  # TensorFlow's, of tf.cond and loops


class Numbering:
    """Counts the sums of each graph from 0; outside of graphs, where they run one after the other, all have number 0.

    So a sum's number is the same on all workers, and doesn't depend on how often a graph was traced. Branches are counted
    with their graph, as their sums may run at the same time.
    """

    def __init__(self) -> None:
        self._counts: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def next(self) -> int:
        """Return the number of the next sum."""
        if tf.executing_eagerly():
            return 0
        graph = tf.compat.v1.get_default_graph()
        while type(graph).__name__ in _BRANCHES:
            graph = graph.outer_graph
        number = self._counts.get(graph, 0)
        self._counts[graph] = number + 1
        return number
