"""What a model's outputs stand for: one order only, whoever else has one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparktrain.data.errors import InputError, listed


def settled(
    names: Sequence[Any] | None, asked: Sequence[Any] | None, loaded: Sequence[Any] | None, stored: Sequence[Any] | None = None
) -> list[Any] | None:
    """The classes by which the label column's values are numbered; None where it holds numbers already.

    Args:
        names: what the numbers in the label column stand for, where a pipeline made them.
        asked: `data.label.classes`.
        loaded: of the run that `model.load` goes on from.
        stored: of the frame that `data.prepared` names, where its label column holds the classes themselves.

    Raises:
        InputError: the pipeline, the job or the frame would put classes in another order.
    """
    for mine, what in (
        (names, "the pipeline numbers the label's classes"),
        (asked, "data.label.classes is"),
        (stored, "the frame at data.prepared has the classes"),
    ):
        if mine is not None and loaded is not None and list(mine) != list(loaded):
            raise InputError(
                f"{what} {listed(mine)}, but the loaded model's outputs stand for {listed(loaded)}, in "
                "this order: training on would teach it wrong classes. Take its run's own pipeline and "
                "classes (leave data.pipeline and data.label.classes out), or train a new model."
            )
    for mine, what in (
        (names, "the pipeline numbers the label's classes"),
        (stored, "the frame at data.prepared has the classes"),
    ):
        if mine is not None and asked is not None and list(mine) != list(asked):
            raise InputError(f"{what} {listed(mine)}, but data.label.classes is {listed(asked)}. Leave data.label.classes out.")
    if names is not None:
        return None
    chosen = next((each for each in (asked, stored, loaded) if each is not None), None)
    return None if chosen is None else list(chosen)
