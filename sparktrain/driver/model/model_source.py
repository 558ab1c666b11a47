"""Determines where the workers find a run's model, and which of the user's modules they need for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparktrain.config import ConfigError, Job, Problem
from sparktrain.data import UnfitColumn
from sparktrain.driver.model.parent_run import ParentRun
from sparktrain.feed import BadInput
from sparktrain.interfaces.training_spec import Source
from sparktrain.models.by_value import SCRIPT, by_value
from sparktrain.models.custom_objects import CustomObject, find, named_in, of_model
from sparktrain.storage import Folder
from sparktrain.usercode.lookup import find_module, own_folders, source

GIVEN = "given.keras"  # in the run's folder: a compiled model that a program passes


@dataclass(frozen=True)
class ModelSource:
    """Where the workers get the model from.

    Attributes:
        source: how the child process builds or loads the model.
        modules: the user's modules that have to be shipped for it.
        folders: where those modules are found, beside the usual folders.
    """

    source: Source
    modules: Sequence[str] = ()
    folders: Sequence[str] = ()


def from_builder(function: str | Callable[..., Any], job: Job) -> ModelSource:
    """Return the source of a model that a function builds; the function is sent by name or by value."""
    return ModelSource(source(function, job.model.args, job.model.modules))


def from_object(model: Any, job: Job, staged: Folder) -> ModelSource:
    """Save a compiled Keras model for the workers and return its source; classes from a script or a notebook go by value.

    Args:
        staged: the run's folder, which the model is saved to.

    Raises:
        UnfitColumn: the job names inputs or outputs that the model doesn't have.
    """
    _refuse_other_names(model, job)
    with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
        local = Path(folder, GIVEN)
        model.save(local)
        wanted = named_in(local)
        staged.upload(str(local), GIVEN)
    objects = of_model(model, wanted)
    return ModelSource(
        Source(file=f"{staged.url}/{GIVEN}", objects=by_value(objects) if objects else None),
        list(dict.fromkeys(each.__module__ for each in objects.values() if each.__module__ != SCRIPT)),
        own_folders(objects.values()),
    )


def _refuse_other_names(model: Any, job: Job) -> None:
    from sparktrain.models.names import check_input_names, check_output_names

    try:
        if isinstance(job.data.features, dict):
            check_input_names(model, list(job.data.features))
        check_output_names(model, job.data.outputs)
    except BadInput as error:
        raise UnfitColumn(str(error)) from error


def from_parent(parent: ParentRun, job: Job, folders: Sequence[str]) -> ModelSource:
    """Return the source of the model of another run, for `model.load`.

    Raises:
        ConfigError: the model has custom classes or functions that can't be found.
    """
    # Runs of an earlier version don't record their modules: the module of the builder is tried, if it is found
    recorded = parent.modules if parent.modules is not None else _builders(parent, folders)
    modules = list(dict.fromkeys([*job.model.modules, *recorded]))
    lost = [module for module in modules if find_module(module, folders) is None]
    if lost:
        names = sorted(name for name, module in parent.custom_objects.items() if module in lost)
        raise ConfigError(
            [
                Problem(
                    "model.load",
                    f"the model of {parent.url} has custom classes or functions ({', '.join(names[:5])}), and there is no module "
                    f"{', '.join(map(repr, lost))}",
                    "their modules in the YAML's folder, the current folder or on PYTHONPATH",
                    f"looked in {', '.join(folders)}",
                )
            ]
        )
    scripts = [name for name, module in parent.custom_objects.items() if module == SCRIPT]
    own = {name: find(CustomObject(name, SCRIPT, name.rpartition(">")[2])) for name in scripts}
    missing = [name for name, value in own.items() if value is None]
    if missing:
        raise ConfigError(
            [
                Problem(
                    "model.load",
                    f"the model of {parent.url} has classes or functions of a script or a notebook, not defined here: {', '.join(missing[:5])}",
                    "classes and functions of a module",
                    "move them into a module and name that in model.modules",
                )
            ]
        )
    objects = by_value(own) if own else None
    return ModelSource(Source(file=f"{parent.url}/model.keras", modules=tuple(modules), objects=objects), modules)


def _builders(parent: ParentRun, folders: Sequence[str]) -> list[str]:
    build = (parent.job.get("model") or {}).get("build")
    module = build.partition(":")[0] if build else None
    return [module] if module is not None and find_module(module, folders) is not None else []
