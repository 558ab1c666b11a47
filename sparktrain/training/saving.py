"""Saves the trained model, and checks before the training that it can be saved."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sparktrain.interfaces.messages import WEIGHTS
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.models.parts import parts
from sparktrain.storage import Folder

MODEL = "model.keras"
_SMALL = 16 << 20  # bytes of variables up to which a model is saved as a test, in a tenth of a second


def refuse_unsavable(model: keras.Model) -> None:
    """Refuse a model that can't be saved, before the training.

    A small model is saved as a test; for a large one only the configuration is made.

    Args:
        model: compiled and built.

    Raises:
        TrainingError: the message names the class that can't be saved, and what to add to it.
    """
    try:
        if _bytes(model) > _SMALL:
            _configuration(model)
            return
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder, MODEL))
    except Exception as error:
        raise TrainingError(
            f"the model can't be saved, so all of the training would be lost: {_in_one_line(error)}. {_advice(model)}"
        ) from error


def save(model: keras.Model, folder: Path, output: Folder) -> tuple[int, str]:
    """Write the model and the event files to the run's folder.

    Args:
        model: the trained model.
        folder: a local folder, with the event files in its `logs`.
        output: the run's folder.

    Returns:
        The size in bytes and the SHA-256, in hexadecimal, of the model's file.

    Raises:
        TrainingError: the model can't be saved; its weights are saved if possible.
        StorageError: the storage doesn't answer for minutes, or refuses.
    """
    local = folder / MODEL
    lasting = output.persistent()
    try:
        model.save(local)
    except Exception as error:
        _keep_weights(model, folder, lasting, error)
    with local.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    lasting.upload(local, MODEL)
    lasting.upload(folder / "logs", "logs")
    return local.stat().st_size, digest


def _keep_weights(model: keras.Model, folder: Path, output: Folder, error: Exception) -> None:
    """Save the weights of a model that can't be saved, and raise the error for the user."""
    local = folder / WEIGHTS
    try:
        model.save_weights(local)
    except Exception:  # such as a full disk
        raise error from None
    output.upload(local, WEIGHTS)
    raise TrainingError(
        f"the trained model can't be saved: {_in_one_line(error)}. Its weights are kept in {output.url}/{WEIGHTS}: build the "
        f"model and call load_weights on it with a copy of that file. {_advice(model)}"
    ) from error


def _advice(model: keras.Model) -> str:
    name = type(_culprit(model)).__name__
    return (
        f"Let {name} have a get_config() that returns the arguments of its __init__, and put "
        f"@keras.saving.register_keras_serializable() before the class; try it by model.save(…) where the model is built"
    )


def _culprit(model: keras.Model) -> Any:
    """Return the innermost part of the model that can't be serialized; the model itself if all parts can."""
    for part in parts(model):
        try:
            _configuration(part)
        except Exception:  # this part can't be serialized
            return part
    return model


def _configuration(part: Any) -> str:
    return json.dumps(keras.saving.serialize_keras_object(part))


def _bytes(model: keras.Model) -> int:
    variables = [*model.variables, *optimizer_variables(model)]
    return sum(int(np.prod(each.shape)) * np.dtype(keras.backend.standardize_dtype(each.dtype)).itemsize for each in variables)


def _in_one_line(error: Exception) -> str:
    """Return an error's first paragraph in one line: Keras's messages include an example of twenty lines."""
    words = str(error).strip().split("\n\n")[0].split()
    return f"{type(error).__name__}: {' '.join(words)[:500]}".rstrip(".")
