"""Finds out, from the signature and the compiled losses of a saved model, what the numbers of its outputs stand for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from sparktrain.ml.score_plan import ScoredOutput
from sparktrain.models.custom_objects import saved_config
from sparktrain.models.losses import meaning
from sparktrain.runs.records.signature import SignatureOutput
from sparktrain.storage import Folder


def compiled_losses(folder: Folder) -> Any:
    """Return the loss, or the losses by output, that the model of a run's folder was compiled with, as Keras saves them.

    Raises:
        StorageError: the model can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="sparktrain-") as scratch:
        path = Path(scratch, "model.keras")
        folder.download("model.keras", str(path))
        return (saved_config(path).get("compile_config") or {}).get("loss")


def scored_outputs(outputs: Sequence[SignatureOutput], losses: Callable[[], Any]) -> tuple[ScoredOutput, ...]:
    """Return what each output's numbers stand for.

    Args:
        outputs: the model's outputs, from its signature.
        losses: returns what `compiled_losses` returns; called only if the signature, of an earlier version, has no meanings.
    """
    found = []
    compiled = losses() if any(output.meaning is None for output in outputs) else None
    for number, output in enumerate(outputs):
        means = output.meaning or meaning(compiled, output.name, number)
        several = bool(output.shape) and output.shape[-1] != 1
        decides: Literal["largest", "threshold", "value"] = "value"
        if output.classes is not None or means != "values":
            decides = "largest" if several else "threshold"
        classes = _of_one_type(output.classes) if output.classes is not None else None
        found.append(ScoredOutput(output.name, tuple(output.shape), classes, decides, means == "logits"))
    return tuple(found)


def _of_one_type(classes: Sequence[Any]) -> tuple[Any, ...]:
    """Return classes as they are, or as numbers or texts where they differ: a column has one type."""
    for kinds, made in (((bool,), bool), ((int,), int), ((int, float), float)):
        if all(isinstance(value, kinds) for value in classes):
            return tuple(map(made, classes))
    return tuple(map(str, classes))
