"""The forms of an export: how each is written, and how it is called as its users will call it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tensorflow as tf

from sparktrain.export.errors import ExportError
from sparktrain.export.served_model import ServedModel

FORMS = ("savedmodel", "onnx", "keras")
MODEL_ONNX, MODEL_KERAS = "model.onnx", "model.keras"
_OPSET = 18  # of ONNX's operators: the newest that tf2onnx writes

Scorer = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
Specs = Mapping[str, tf.TensorSpec]


def check_form(form: str) -> None:
    """Refuse a form that there isn't, or whose packages aren't installed.

    Raises:
        ExportError: it can't be written here.
    """
    if form not in FORMS:
        raise ExportError(f"format: {form!r} came, expected one of {', '.join(FORMS)}")
    absent = [name for name in ("onnx", "tf2onnx", "onnxruntime") if form == "onnx" and find_spec(name) is None]
    if absent:
        raise ExportError(f"format: onnx needs {', '.join(absent)}, which this environment lacks: pip install 'sparktrain[onnx]'")


def write(form: str, served: ServedModel, specs: Specs, model: Path, folder: Path) -> None:
    """Write a model in a form.

    Args:
        form: one of FORMS.
        served: the model, with what is in front of it.
        specs: the tensors of the columns that it takes.
        model: the run's model.keras.
        folder: an empty folder.

    Raises:
        ExportError: ONNX has no operation for one of the model's.
    """
    if form == "keras":
        shutil.copyfile(model, folder / MODEL_KERAS)
    elif form == "savedmodel":
        _save(served, specs, folder, refuse=True)
    else:
        with tempfile.TemporaryDirectory(prefix="sparktrain-") as scratch:
            _save(served, specs, Path(scratch), refuse=False)  # ONNX has no assertions
            _convert(scratch, folder / MODEL_ONNX)


def load(form: str, served: ServedModel, folder: Path) -> Scorer:
    """Return what gives the scores of columns, as the written files give them.

    Args:
        form: one of FORMS.
        served: the model that was written; of a Keras file, which has no scores, it gives the scores.
        folder: where `write` has written.
    """
    if form == "keras":
        return lambda columns: {name: value.numpy() for name, value in served.score(_tensors(columns)).items()}
    if form == "savedmodel":
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures["serving_default"]

        def call(columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
            assert loaded is not None  # which the signature's variables live with
            return {name: value.numpy() for name, value in signature(**_tensors(columns)).items()}

        return call
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / MODEL_ONNX))
    names = [output.name for output in session.get_outputs()]

    def run(columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return dict(zip(names, session.run(None, {name: _texts(value) for name, value in columns.items()})))

    return run


def _texts(values: np.ndarray) -> np.ndarray:
    """Return texts in UTF-8 as str, which ONNX Runtime takes; numbers as they are."""
    return np.vectorize(bytes.decode, otypes=[object])(values) if values.dtype == object else values


def _tensors(columns: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value) for name, value in columns.items()}


def _save(served: ServedModel, specs: Specs, folder: Path, refuse: bool) -> None:
    """Save with two signatures: `serving_default` from the columns to the scores, and `model` from the model's inputs to its outputs."""
    scores = tf.function(lambda **columns: served.score(columns, refuse)).get_concrete_function(**specs)
    signatures = {"serving_default": scores}
    if refuse:
        signatures["model"] = tf.function(lambda **inputs: served.call(inputs)).get_concrete_function(**served.inputs)
    tf.saved_model.save(served, str(folder), signatures=signatures)


def _convert(saved_model: str, target: Path) -> None:
    """Convert a SavedModel in a process of its own, as the converter switches TensorFlow to its first version's ways."""
    command = [
        sys.executable,
        "-m",
        "tf2onnx.convert",
        "--saved-model",
        saved_model,
        "--opset",
        str(_OPSET),
        "--output",
        str(target),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    failed = [line for line in done.stderr.splitlines() if "ERROR" in line]
    if done.returncode or not target.exists() or failed:
        raise ExportError(
            "ONNX has no operation for one of the model's, or the converter failed:\n"
            + "\n".join(failed or done.stderr.splitlines()[-5:])
        )
