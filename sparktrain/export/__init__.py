"""Hands a run over to serving: its model with its pipeline in front, as TensorFlow Serving, ONNX or Keras loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparktrain.exports import load_export

if TYPE_CHECKING:  # for editors
    from sparktrain.export.errors import ExportError
    from sparktrain.export.exporting import export_run

_WHERE = {"ExportError": "export.errors", "export_run": "export.exporting"}
__all__ = ["ExportError", "export_run"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
