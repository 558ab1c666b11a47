"""What the user brings to the child: a function by name or by value, or a saved model."""

from __future__ import annotations

import importlib
import tempfile
import zipfile
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import keras

from sparktrain.interfaces.messages import Source
from sparktrain.models.by_value import from_value
from sparktrain.models.custom_objects import load_model
from sparktrain.models.errors import TrainingError
from sparktrain.storage import open_folder


def load(source: Source, hadoop: Mapping[str, str], what: str) -> Any:
    """Bring what a source stands for: the function's result, or the model of a file.

    Args:
        source: exactly one of its three kinds is set.
        hadoop: Hadoop's settings, for a file on HDFS.
        what: what it is to be, for errors: "model.build".

    Raises:
        TrainingError: the name doesn't lead to a function, or the file is no model, or one whose own classes aren't at hand.
    """
    for module in source.modules:
        importlib.import_module(module)
    if source.file is not None:
        return _load_file(source.file, source, hadoop)
    return function(source, what)(**source.args)


def function(source: Source, what: str) -> Any:
    """The function itself that a source stands for, by value or by name.

    Raises:
        TrainingError: the name doesn't lead to a function.
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
        # Unpacked: from the archive Keras takes all weights into memory once more (measured: 5.6 times a model's size
        # at the worst moment, 4.5 times from a folder).
        unpacked = Path(temporary, "unpacked")
        with zipfile.ZipFile(local) as archive:
            archive.extractall(unpacked)
        local.unlink()
        objects = from_value(source.objects) if source.objects is not None else {}
        return load_model(unpacked, source.modules, objects, url)
