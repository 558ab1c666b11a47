"""Tells from a model's compiled losses what the numbers of its outputs are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Meaning = Literal["classes", "logits", "values"]
_OF_CLASSES = "crossentropy"  # within the names of Keras's losses whose labels are classes


def meaning(losses: Any, name: str, number: int) -> Meaning:
    """Return what the numbers of one of a model's outputs are.

    Args:
        losses: the loss, or the losses by output, that the model was compiled with, as `get_compile_config` has them.
        name: the output's name.
        number: its place among the outputs.

    Returns:
        `classes`: a number for each class, or one for two classes; `logits`: the same before softmax or the logistic function;
        `values`: anything else.
    """
    if isinstance(losses, Mapping) and "class_name" not in losses:
        losses = losses.get(name)
    elif isinstance(losses, (list, tuple)):
        losses = losses[number] if number < len(losses) else None
    if isinstance(losses, str):
        return "classes" if _OF_CLASSES in losses.lower() else "values"
    if not isinstance(losses, Mapping):
        return "values"
    config = losses.get("config")
    named = f"{losses.get('class_name')} {config if isinstance(config, str) else ''}".lower()
    if _OF_CLASSES not in named:
        return "values"
    return "logits" if isinstance(config, Mapping) and config.get("from_logits") else "classes"
