"""What a stage of a pipeline is as TensorFlow operations, and the conditions that its rows must meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from sparktrain.export.saved_stages import SavedStage


class Conditions:
    """Collects what rows must meet, while the operations are traced."""

    def __init__(self) -> None:
        self._met: list[tuple[Any, str]] = []

    def require(self, met: Any, otherwise: str) -> None:
        """Note a condition.

        Args:
            met: bool tensor [n], whether each row meets it.
            otherwise: what to say where one doesn't, without quotes, which TensorFlow puts a backslash before.
        """
        self._met.append((met, otherwise))

    def assertions(self) -> list[Any]:
        """Return operations that raise InvalidArgumentError, with the condition's text, where a row meets one not."""
        return [tf.debugging.Assert(tf.reduce_all(met), [otherwise]) for met, otherwise in self._met]

    def all_met(self) -> Any:
        """Return a bool tensor [n], whether a row meets all of them; None if there are none."""
        return tf.reduce_all(tf.stack([met for met, _ in self._met]), 0) if self._met else None


Run = Callable[[Conditions, Sequence[Any]], Sequence[Any]]


@dataclass
class Operations:
    """A stage as TensorFlow operations.

    Attributes:
        stage: the stage.
        run: from the tensors of the columns that it reads to those of the columns that it makes.
        tables: TensorFlow's lookup tables that `run` uses, which are saved with the model.
        texts: whether it takes texts apart, for which ONNX has no operations.
    """

    stage: SavedStage
    run: Run
    tables: list[Any] = field(default_factory=list)
    texts: bool = False


def each_column(function: Callable[[Conditions, Any], Any]) -> Run:
    """Return what does the same with each column."""
    return lambda conditions, columns: [function(conditions, column) for column in columns]


def table(keys: Any, values: Sequence[int], default: int) -> Any:
    """Return a lookup table from texts or int64 to int64."""
    initial = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(list(values), tf.int64))
    return tf.lookup.StaticHashTable(initial, default)


def look_up(of: Any, keys: Any) -> Any:
    """Return the values of keys [n], with their shape, which the table's own answer has lost where it is read by others."""
    return tf.reshape(of.lookup(keys), [-1])


def as_double(column: Any) -> Any:
    """Return a column of numbers as float64."""
    return column if column.dtype == tf.float64 else tf.cast(column, tf.float64)
