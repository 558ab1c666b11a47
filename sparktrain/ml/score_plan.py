"""What the executors are told of a scoring: the model, how columns become its inputs, and which columns come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sparktrain.feed import Input

Kind = Literal["prediction", "probability", "raw", "index"]
KINDS: tuple[Kind, ...] = ("prediction", "probability", "raw", "index")


@dataclass(frozen=True)
class ScoredOutput:
    """One of the model's outputs.

    Attributes:
        name: the model's own name for it.
        shape: the shape of a row; None where a size isn't fixed.
        classes: what its numbers stand for, in their order, all of one type; None if that isn't known.
        decides: how a prediction is read off: `largest` of several numbers, `threshold` of one, or the `value` itself.
        logits: whether its numbers become probabilities by softmax, or by the logistic function if there is one a row.
    """

    name: str
    shape: tuple[int | None, ...]
    classes: tuple[Any, ...] | None
    decides: Literal["largest", "threshold", "value"]
    logits: bool = False


@dataclass(frozen=True)
class ScorePlan:
    """A scoring, as it is sent to the executors.

    Attributes:
        url: the URL of the run's folder.
        hadoop: Hadoop's settings that the storage needs.
        model: what tells this model from another at the same URL.
        modules: the user's modules to import before the model is loaded.
        inputs: the model's inputs, in its order.
        rows: shape of a row and dtype, as NumPy names it or `string`, of each input in training.
        outputs: the model's outputs, in its order.
        columns: of each column that comes out beside those kept: its name, the number of the output, and the kind.
        kept: the names of the columns that are kept.
        batch_size: rows that the model is called with at a time.
        keep_nulls: whether a row with a null in the model's columns is kept with null predictions; else it is an error.
    """

    url: str
    hadoop: Mapping[str, str]
    model: str
    modules: tuple[str, ...]
    inputs: tuple[Input, ...]
    rows: tuple[tuple[tuple[int, ...], str], ...]
    outputs: tuple[ScoredOutput, ...]
    columns: tuple[tuple[str, int, Kind], ...]
    kept: tuple[str, ...]
    batch_size: int
    keep_nulls: bool
