"""Finds a model's custom objects, the classes and functions that aren't Keras's own, and loads models with them."""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from sparktrain.models.by_value import SCRIPT
from sparktrain.models.errors import TrainingError

_FRAMEWORKS = ("keras", "tensorflow", "builtins")
_OF_KERAS = ("losses", "metrics", "activations", "initializers", "regularizers", "constraints")  # functions saved by name


@dataclass(frozen=True)
class CustomObject:
    """A class or a function that isn't Keras's own.

    Attributes:
        name: the name that Keras looks it up by: "package>Name" if it is registered, else its own name.
        module: the module that defines it; SCRIPT for a script or a notebook; empty for a function, as a model's file
            doesn't record it.
        attribute: its own name.
    """

    name: str
    module: str
    attribute: str

    def __str__(self) -> str:
        if not self.module:
            return f"the function {self.attribute}"
        return f"{self.attribute} of {'a script or a notebook' if self.module == SCRIPT else f'module {self.module}'}"


def named_in(path: Path) -> list[CustomObject]:
    """Return the custom objects that a saved model needs.

    Args:
        path: a `.keras` file, or the folder that it was unpacked to.

    Raises:
        ValueError: it is no saved model.
    """
    return list(dict.fromkeys(_named(saved_config(path))))


def saved_config(path: Path) -> dict[str, Any]:
    """Return the configuration of a saved model, as Keras writes it: its layers, and how it was compiled.

    Args:
        path: a `.keras` file, or the folder that it was unpacked to.

    Raises:
        ValueError: it is no saved model.
    """
    if path.is_dir():
        text = (path / "config.json").read_bytes()
    else:
        with zipfile.ZipFile(path) as archive:
            text = archive.read("config.json")
    config: dict[str, Any] = json.loads(text)
    return config


def _named(config: Any) -> Iterator[CustomObject]:
    if isinstance(config, list):
        for item in config:
            yield from _named(item)
    if not isinstance(config, dict):
        return
    if {"class_name", "registered_name", "module"} <= config.keys():
        module = config["module"] or SCRIPT  # Keras writes null for __main__
        if config["class_name"] == "function":
            if isinstance(config["config"], str) and not _is_keras_own(config["config"]):
                yield CustomObject(config["config"], "", config["config"].rpartition(">")[2])
        elif module.partition(".")[0] not in _FRAMEWORKS:
            yield CustomObject(config["registered_name"] or config["class_name"], module, config["class_name"])
    for content in config.values():
        yield from _named(content)


def _is_keras_own(function: str) -> bool:
    import keras

    return any(hasattr(getattr(keras, module), function) for module in _OF_KERAS)


def load_model(path: Path, modules: Sequence[str], given: Mapping[str, Any] = {}, url: str = "") -> Any:
    """Load a saved model with its custom objects.

    They are looked up among those registered with Keras, in `given`, in modules that this process has imported, including
    `modules`, and in this process's script or notebook.

    Args:
        path: a `.keras` file, or the folder that it was unpacked to.
        modules: modules to import first.
        given: custom objects by the names that Keras looks them up by.
        url: the model's URL, for messages.

    Raises:
        TrainingError: a custom object can't be found; the message names it, and what to do.
    """
    import keras

    wanted = named_in(path)
    failed = {}
    for module in modules if wanted else ():
        try:
            importlib.import_module(module)
        except ImportError as error:
            failed[module] = error
    places = [*modules, *(entry.module for entry in wanted if entry.module)]
    found = {entry.name: value for entry in wanted if (value := find(entry, places, given)) is not None}
    try:
        with keras.saving.custom_object_scope(found):
            return keras.models.load_model(path)
    except Exception as error:
        missing = [entry for entry in wanted if entry.name not in found]
        if not missing:
            raise
        raise TrainingError(_where_to_look(missing, failed, url or str(path))) from error


def find(wanted: CustomObject, modules: Sequence[str] = (), given: Mapping[str, Any] = {}) -> Any:
    """Return the class or the function that a saved model names; None if it can't be found.

    Args:
        modules: further imported modules to look in.
        given: custom objects by the names that Keras looks them up by.
    """
    import keras

    registered = keras.saving.get_registered_object(wanted.name)
    if registered is not None:
        return registered
    if wanted.name in given:
        return given[wanted.name]
    for name in (wanted.module or SCRIPT, *modules):
        value = getattr(sys.modules.get(name), wanted.attribute, None)
        # A model's file must not name anything that can't be a layer or a loss, such as subprocess.call
        fits = isinstance(value, FunctionType) or (isinstance(value, type) and hasattr(value, "from_config"))
        if fits and name.partition(".")[0] not in sys.stdlib_module_names:
            return value
    return None


def _where_to_look(missing: Sequence[CustomObject], failed: Mapping[str, ImportError], url: str) -> str:
    lines = [
        f"{url} can't be loaded, as it has custom classes or functions that were not found: {', '.join(map(str, missing[:5]))}."
    ]
    for module in dict.fromkeys(entry.module for entry in missing):
        names = ", ".join(dict.fromkeys(entry.attribute for entry in missing if entry.module == module))
        if not module:
            lines.append(f"Import {names} before the model is loaded; a job imports the modules that model.modules names.")
        elif module == SCRIPT:
            lines.append(
                f"Define or import {names} in this program before the model is loaded. For other programs and jobs, move it into a "
                "module, and train the model with that."
            )
        elif module in failed:
            lines.append(
                f"The module {module} can't be imported ({failed[module]}): put it in the current folder, beside the job's YAML or "
                "on PYTHONPATH."
            )
        elif module in sys.modules:
            lines.append(
                f"{sys.modules[module].__file__} doesn't define {names} at its top level, where it can be found: move it there."
            )
        else:
            lines.append(f"Import {module} before the model is loaded; a job imports what model.modules names: [{module}].")
    return " ".join(lines)


def of_model(model: Any, wanted: Iterable[CustomObject]) -> dict[str, Any]:
    """Return the custom objects of a model of this process, by the names that Keras looks them up by.

    Args:
        wanted: the custom objects that the saved model names; those that aren't found are left out.
    """
    from sparktrain.models.parts import parts

    held = [
        candidate
        for part in parts(model)
        for candidate in (type(part), part, *(getattr(part, name, None) for name in ("fn", "_fn", "activation")))
    ]
    alive = {
        (candidate.__module__, candidate.__name__): candidate for candidate in held if isinstance(candidate, (type, FunctionType))
    }
    functions = {name: candidate for (_, name), candidate in alive.items() if isinstance(candidate, FunctionType)}
    found = {}
    for entry in wanted:
        value = (
            alive.get((entry.module, entry.attribute))
            or (None if entry.module else functions.get(entry.attribute))
            or find(entry)
        )
        if value is not None:
            found[entry.name] = value
    return found


def recorded(model: Any, path: Path, builder: str | None) -> dict[str, str]:
    """Return the custom objects of a model for a run's record: the name that Keras looks each up by, and its module.

    Args:
        path: the file or folder that the model was saved to.
        builder: the module that built the model, recorded for objects that aren't found elsewhere.
    """
    wanted = named_in(path)
    found = of_model(model, wanted) if wanted else {}
    return {
        entry.name: getattr(found.get(entry.name), "__module__", None) or entry.module or builder or SCRIPT for entry in wanted
    }


def in_program(function: Callable[[], Any]) -> Any:
    """Call a function that unpickles a model, with the classes of this process's script or notebook as custom objects."""
    keras = sys.modules.get("keras")
    if keras is None:
        return function()
    own = {
        name: value
        for name, value in vars(sys.modules[SCRIPT]).items()
        if isinstance(value, (type, FunctionType)) and value.__module__ == SCRIPT and not _is_keras_own(name)
    }
    with keras.saving.custom_object_scope(own):
        return function()
