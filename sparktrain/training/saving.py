"""The trained model as a file: whether there can be one is found out before the training, not after it."""

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
_SMALL = 16 << 20  # bytes of variables that are written for a trial: in a tenth of a second


def refuse_unsavable(model: keras.Model) -> None:
    """Refuse a model that can't be saved, as long as nothing is lost with it.

    A small model is saved for a trial, of a large one only the configuration is made.

    Args:
        model: compiled and built.

    Raises:
        TrainingError: with the class that can't be saved, and what to write into it.
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
        model: trained.
        folder: of this machine; the event files are in its `logs`.
        output: the run's.

    Returns:
        Size in bytes and SHA-256, in hexadecimal, of the model's file.

    Raises:
        TrainingError: the model can't be saved; its weights are kept where they can be.
        StorageError: the storage was away for minutes, or refuses.
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
    """Save what can be of a model that can't, and raise what is to be told of it."""
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
    """The innermost part of the model that has no configuration; the model itself where none is at fault by itself."""
    for part in parts(model):
        try:
            _configuration(part)
        except Exception:  # which is what is looked for
            return part
    return model


def _configuration(part: Any) -> str:
    return json.dumps(keras.saving.serialize_keras_object(part))


def _bytes(model: keras.Model) -> int:
    variables = [*model.variables, *optimizer_variables(model)]
    return sum(int(np.prod(each.shape)) * np.dtype(keras.backend.standardize_dtype(each.dtype)).itemsize for each in variables)


def _in_one_line(error: Exception) -> str:
    """Its first paragraph: Keras explains itself by an example of twenty lines."""
    said = str(error).strip().split("\n\n")[0].split()
    return f"{type(error).__name__}: {' '.join(said)[:500]}".rstrip(".")
