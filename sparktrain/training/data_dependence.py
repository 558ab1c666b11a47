"""Which variables a training step changes whatever its rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

_READING = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp")


def moved_by_data(data: Any, variables: Sequence[keras.Variable]) -> set[int]:
    """Find the variables whose new values depend on a step's batch.

    For use at the end of a traced training step. What changes by itself (the vector of a SpectralNormalization, which
    follows the kernel; a count of steps) changes alike on workers with rows and without; what follows the rows doesn't.

    Args:
        data: the batch, as the step got it.
        variables: those in question; what else the step reads counts as alike on all workers.

    Returns:
        The ids of those that depend on the batch, or may; outside of a graph, of all of them.
    """
    if tf.executing_eagerly():
        return {id(variable) for variable in variables}
    graph = tf.compat.v1.get_default_graph()
    by_handle = {id(variable.value.handle): id(variable) for variable in variables}
    # What a graph knows a variable's handle as, to the variable
    handles = {id(inner): by_handle[id(outer)] for outer, inner in getattr(graph, "captures", ()) if id(outer) in by_handle}
    batch = {id(leaf) for leaf in keras.tree.flatten(data)}
    moved: set[int] = set()
    while True:  # until no more are found: a step reads what the last one left
        found = _moved_in(graph, batch, handles, moved)
        if found == moved:
            return moved
        moved = found


def _moved_in(graph: Any, batch: set[int], handles: dict[int, int], moved: set[int]) -> set[int]:
    moved, following = set(moved), set(batch)
    for operation in graph.get_operations():  # in the order in which they were made, so what one reads comes before it
        of = [handles[id(each)] for each in operation.inputs if id(each) in handles]
        follows = any(id(each) in following for each in operation.inputs)
        if follows and operation.type not in _READING:
            moved.update(of)
        if follows or any(variable in moved for variable in of):
            following.update(id(each) for each in operation.outputs)
    return moved
