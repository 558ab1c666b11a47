"""Loads what the user passes to the child process: a function by name or by value, or a saved model."""

from __future__ import annotations

import importlib
import tempfile
import zipfile
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import keras

from sparktrain.interfaces.training_spec import Source
from sparktrain.models.by_value import from_value
from sparktrain.models.custom_objects import load_model
from sparktrain.models.errors import TrainingError
from sparktrain.storage import open_folder


def load(source: Source, hadoop: Mapping[str, str], what: str) -> Any:
    """Load a source: call its function, or load its model.

    Args:
        source: the source, with exactly one of its three kinds set.
        hadoop: Hadoop's settings, for a file on HDFS.
        what: the configuration's key that names it, for messages, such as "model.build".

    Returns:
        The function's return value, or the model.

    Raises:
        TrainingError: there is no such function, or the file is no model, or its custom objects can't be found.
    """
    for module in source.modules:
        importlib.import_module(module)
    if source.file is not None:
        return _load_file(source.file, source, hadoop)
    return function(source, what)(**source.args)


def function(source: Source, what: str) -> Any:
    """Return the function of a source, by value or by name, without calling it.

    Raises:
        TrainingError: there is no such function.
    """
    if source.pickle is not None:
        return from_value(source.pickle)
    assert source.function is not None  # nor is it a file
    return _function(source.function, what)


def _function(name: str, what: str) -> Any:
    module_name, _, function_name = name.partition(":")
    if not function_name:
        raise TrainingError(f"{what}: {name!r} is not of the form module:function")
    module = importlib.import_module(module_name)
    function = getattr(module, function_name, None)
    if callable(function):
        return function
    if function is not None:
        raise TrainingError(f"{what}: {name!r} is a {type(function).__name__}, not a function")
    near = get_close_matches(function_name, [name for name in vars(module) if not name.startswith("_")], 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise TrainingError(f"{what}: {module.__file__} has no function {function_name!r}{hint}")


def _load_file(url: str, source: Source, hadoop: Mapping[str, str]) -> keras.Model:
    folder, _, name = url.rstrip("/").rpartition("/")
    if not name.endswith(".keras"):
        raise TrainingError(f"{url} is not a saved Keras model: a path ending in .keras was expected")
    with tempfile.TemporaryDirectory() as temporary:
        local = Path(temporary, name)
        open_folder(folder, hadoop).download(name, str(local))
        # Unpacked, as Keras reads all weights of an archive into memory once more (measured: a peak of 5.6 times a model's
        # size, 4.5 times from a folder).
        unpacked = Path(temporary, "unpacked")
        with zipfile.ZipFile(local) as archive:
            archive.extractall(unpacked)
        local.unlink()
        objects = from_value(source.objects) if source.objects is not None else {}
        return load_model(unpacked, source.modules, objects, url)
