"""Matches the labels of the rows to the model's outputs, and checks that these can learn them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from sparktrain.feed import MORE_LABEL, BadInput
from sparktrain.models.names import check_output_names, output_names
from sparktrain.training.batches.dataset import LABEL

_SPARSE = "sparse_categorical_crossentropy"
_CATEGORICAL = "categorical_crossentropy"
_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")


def label_template(model: keras.Model, more: Sequence[str], first: str | None = None, named: Sequence[str] | None = None) -> Any:
    """Return which label of the rows goes to which of the model's outputs.

    Labels are matched by the outputs' names if the job has them, or if the columns have the outputs' names; else in their
    order.

    Args:
        more: names of the labels of the second and further outputs: `MORE_LABEL` and the column.
        first: the column of the first label.
        named: the outputs' names, in the order of the labels.

    Returns:
        The structure of the model's outputs with a label's name at each leaf, LABEL for the first.

    Raises:
        BadInput: the number of labels differs from that of the model's outputs, or their names do.
    """
    labels = [LABEL, *more]
    outputs = getattr(model, "outputs", None)
    if outputs and len(outputs) != len(labels) and (more or not _shares_label(model)):
        raise BadInput(
            f"the model has {len(outputs)} outputs ({', '.join(tensor.name for tensor in outputs)}), and the rows bring {len(labels)} "
            "label(s): data.label must list a column for each"
        )
    check_output_names(model, named)
    if not more:
        return LABEL
    known = output_names(model)
    others = [name.removeprefix(MORE_LABEL) for name in more]
    columns = [first, *others]
    if named is None and known is not None and first is not None and set(columns) == set(known):
        named = [first, *others]
    elif named is None and known is not None:
        _refuse_crossed(columns, known if not isinstance(model.output, dict) else list(model.output))
    if named is not None:
        by_name = dict(zip(named, labels))
        if known is None:
            return by_name
        labels = [by_name[name] for name in known]
    structure = model.output if outputs and not isinstance(model, keras.Sequential) else tuple(labels)
    if not isinstance(structure, dict):
        return tuple(labels)
    # Keras sorts a dict's keys when it flattens it; a job's list is in the order in which the model was given them
    return dict(zip(known if named is not None and known is not None else structure, labels))


def _refuse_crossed(columns: Sequence[str | None], known: Sequence[str]) -> None:
    for place, column in enumerate(columns):
        if column in known and known[place] != column:
            raise BadInput(
                f"data.label lists the columns {', '.join(map(str, columns))}, in the order of the outputs {', '.join(known)}: {column} would "
                f"be learnt by the output {known[place]}. Name the outputs: label: {{{known[place]}: {column}, …}}, or rename a column"
            )


def _shares_label(model: keras.Model) -> bool:
    """Return whether all outputs may use one label: possible with a custom train_step or compute_loss."""
    return type(model).train_step is not keras.Model.train_step or type(model).compute_loss is not keras.Model.compute_loss


def check_labels(
    model: keras.Model,
    template: Any,
    labels: Mapping[str, tuple[tuple[int, ...], Any]],
    ranges: Mapping[str, tuple[float, float]],
) -> None:
    """Check that the labels fit the classes of the model's losses and outputs.

    Args:
        model: compiled and built.
        template: the result of `label_template`.
        labels: (shape of a row, dtype) of each label.
        ranges: the least and the greatest value of each label, over all workers' rows.

    Raises:
        BadInput: a label is outside of its output's classes, or has the wrong form for its loss.
    """
    outputs = getattr(model, "outputs", None)
    names = keras.tree.flatten(template)
    if not outputs or len(outputs) != len(names):
        return
    known = output_names(model)
    losses = model.loss
    if isinstance(losses, dict):
        losses = [losses.get(name) for name in known or ()]
    elif not isinstance(losses, (list, tuple)):
        losses = [losses] * len(outputs)
    if len(losses) != len(outputs):
        return
    for place, (output, loss, name) in enumerate(zip(outputs, losses, names)):
        which = "" if len(outputs) == 1 else f" of the output {known[place] if known else place + 1}"
        column = "" if name == LABEL else f" (column {name.removeprefix(MORE_LABEL)})"
        if loss is not None and name in ranges:
            _check_label(output, loss, labels[name][0], ranges[name], which + column)


def _check_label(output: Any, compiled: Any, label_shape: tuple[int, ...], label_range: tuple[float, float], which: str) -> None:
    loss = _loss_name(compiled)
    axis = getattr(compiled, "_fn_kwargs", {}).get("axis", -1)
    if axis not in (-1, len(output.shape) - 1):  # the classes are on another axis
        return
    units = output.shape[-1] if len(output.shape) > 1 else 1
    if loss == _CATEGORICAL and not label_shape and units is not None and units > 1:
        raise BadInput(
            f"the loss {_CATEGORICAL}{which} takes labels of {units} numbers a row, and a single class number came: "
            f"compile the model with {_SPARSE}"
        )
    low, high = label_range
    ignored = getattr(compiled, "ignore_class", None)  # masks what has no class, such as padding
    if loss == _SPARSE and units is not None and any(each != ignored and not 0 <= each < units for each in label_range):
        raise BadInput(
            f"the labels{which} go from {low:g} to {high:g}, and the model's output knows the classes 0 to {units - 1}: give "
            "the last layer an output for each class, or number the classes from 0 (label.classes)" + _ignoring(ignored)
        )
    if loss in _BINARY and (low < 0 or high > 1):
        raise BadInput(
            f"the labels{which} go from {low:g} to {high:g}, and the loss {loss} takes 0 to 1: number the two classes 0 and 1 "
            f"(label.classes), or compile the model with {_SPARSE}"
        )


def _ignoring(ignored: int | None) -> str:
    return "" if ignored is None else f"; the loss ignores the class {ignored} alone"


def _loss_name(loss: Any) -> str:
    """Return the name of one of Keras's losses; "" for a user's loss, whatever its name."""
    if isinstance(loss, str):
        return loss
    function = getattr(loss, "fn", loss)
    of = type(loss) if isinstance(loss, keras.losses.Loss) else loss
    own = all(getattr(each, "__module__", "").startswith("keras.") for each in (of, function))
    return getattr(function, "__name__", "") if own else ""
