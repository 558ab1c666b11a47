"""Finds out, from the signature and the compiled losses of a saved model, what the numbers of its outputs stand for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sparktrain.ml.score_plan import ScoredOutput
from sparktrain.models.custom_objects import saved_config
from sparktrain.runs.records.signature import SignatureOutput
from sparktrain.storage import Folder

_OF_CLASSES = "crossentropy"  # within the names of Keras's losses whose labels are classes


@dataclass(frozen=True)
class Loss:
    """What an output was trained for.

    Attributes:
        of_classes: whether the labels are classes.
        logits: whether the output's numbers become probabilities only by softmax or the logistic function.
    """

    of_classes: bool = False
    logits: bool = False


def compiled_losses(folder: Folder) -> Any:
    """Return the loss, or the losses by output, that the model of a run's folder was compiled with, as Keras saves them.

    Raises:
        StorageError: the model can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="sparktrain-") as scratch:
        path = Path(scratch, "model.keras")
        folder.download("model.keras", str(path))
        return (saved_config(path).get("compile_config") or {}).get("loss")


def scored_outputs(outputs: Sequence[SignatureOutput], losses: Any) -> tuple[ScoredOutput, ...]:
    """Return what each output's numbers stand for.

    Args:
        outputs: the model's outputs, from its signature.
        losses: as `compiled_losses` returns them.
    """
    found = []
    for number, output in enumerate(outputs):
        loss = _of_output(losses, output.name, number)
        several = bool(output.shape) and output.shape[-1] != 1
        decides: Literal["largest", "threshold", "value"] = "value"
        if output.classes is not None or loss.of_classes:
            decides = "largest" if several else "threshold"
        classes = _of_one_type(output.classes) if output.classes is not None else None
        found.append(ScoredOutput(output.name, tuple(output.shape), classes, decides, loss.logits))
    return tuple(found)


def _of_one_type(classes: Sequence[Any]) -> tuple[Any, ...]:
    """Return classes as they are, or as numbers or texts where they differ: a column has one type."""
    for kinds, made in (((bool,), bool), ((int,), int), ((int, float), float)):
        if all(isinstance(value, kinds) for value in classes):
            return tuple(map(made, classes))
    return tuple(map(str, classes))


def _of_output(losses: Any, name: str, number: int) -> Loss:
    if isinstance(losses, Mapping) and "class_name" not in losses:
        losses = losses.get(name)
    elif isinstance(losses, list):
        losses = losses[number] if number < len(losses) else None
    if isinstance(losses, str):
        return Loss(_OF_CLASSES in losses.lower())
    if not isinstance(losses, Mapping):
        return Loss()
    config = losses.get("config")
    named = f"{losses.get('class_name')} {config if isinstance(config, str) else ''}".lower()
    return Loss(_OF_CLASSES in named, isinstance(config, Mapping) and bool(config.get("from_logits")))
