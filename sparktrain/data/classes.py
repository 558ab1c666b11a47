"""Resolves the order of the classes, which must be the same in the pipeline, the job, the loaded model and prepared rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparktrain.data.errors import InputError, listed


def settled(
    names: Sequence[Any] | None, asked: Sequence[Any] | None, loaded: Sequence[Any] | None, stored: Sequence[Any] | None = None
) -> list[Any] | None:
    """Return the classes in the order by which the label's values are to be numbered; None if it has numbers already.

    Args:
        names: the classes by the numbers in the label column, if a pipeline made them.
        asked: `data.label.classes`.
        loaded: the classes of the run that `model.load` names.
        stored: the classes of the frame that `data.prepared` names, if its label column has the classes themselves.

    Raises:
        InputError: two of these have different classes or orders.
    """
    for classes, what in (
        (names, "the pipeline numbers the label's classes"),
        (asked, "data.label.classes is"),
        (stored, "the frame at data.prepared has the classes"),
    ):
        if classes is not None and loaded is not None and list(classes) != list(loaded):
            raise InputError(
                f"{what} {listed(classes)}, but the loaded model's outputs stand for {listed(loaded)}, in "
                "this order: further training would teach it wrong classes. Use its run's own pipeline and "
                "classes (leave data.pipeline and data.label.classes out), or train a new model."
            )
    for classes, what in (
        (names, "the pipeline numbers the label's classes"),
        (stored, "the frame at data.prepared has the classes"),
    ):
        if classes is not None and asked is not None and list(classes) != list(asked):
            raise InputError(
                f"{what} {listed(classes)}, but data.label.classes is {listed(asked)}. Leave data.label.classes out."
            )
    if names is not None:
        return None
    chosen = next((each for each in (asked, stored, loaded) if each is not None), None)
    return None if chosen is None else list(chosen)
