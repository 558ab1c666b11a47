"""Finds the variables that a training step changes depending on its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

_READING = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp")


def moved_by_data(data: Any, variables: Sequence[keras.Variable]) -> set[int]:
    """Return the variables whose new values depend on a step's batch, by tracing the graph; call it at the end of the step.

    Variables that change independently of the rows (the vector of a SpectralNormalization, which depends on the kernel; a
    count of steps) change in the same way on workers with and without rows.

    Args:
        data: the batch that the step was given.
        variables: the variables to check; others that the step reads count as the same on all workers.

    Returns:
        The ids of those that depend on the batch, or may; outside of a graph, the ids of all.
    """
    if tf.executing_eagerly():
        return {id(variable) for variable in variables}
    graph = tf.compat.v1.get_default_graph()
    by_handle = {id(variable.value.handle): id(variable) for variable in variables}
    # From the graph's own tensor for a variable's handle to the variable
    handles = {id(inner): by_handle[id(outer)] for outer, inner in getattr(graph, "captures", ()) if id(outer) in by_handle}
    batch = {id(leaf) for leaf in keras.tree.flatten(data)}
    moved: set[int] = set()
    while True:  # until no more are found: a step reads the values of the one before
        found = _moved_in(graph, batch, handles, moved)
        if found == moved:
            return moved
        moved = found


def _moved_in(graph: Any, batch: set[int], handles: dict[int, int], moved: set[int]) -> set[int]:
    moved, following = set(moved), set(batch)
    for operation in graph.get_operations():  # in the order of their creation, so that inputs come first
        of = [handles[id(each)] for each in operation.inputs if id(each) in handles]
        follows = any(id(each) in following for each in operation.inputs)
        if follows and operation.type not in _READING:
            moved.update(of)
        if follows or any(variable in moved for variable in of):
            following.update(id(each) for each in operation.outputs)
    return moved
