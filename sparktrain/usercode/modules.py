"""Determines which of the user's modules a run needs on the executors and in the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from sparktrain.config import Job
from sparktrain.models.by_value import SCRIPT


def modules_of(job: Job, functions: Iterable[Any]) -> list[str]:
    """Return the names of the modules whose functions a run calls on the executors or in the workers.

    Args:
        functions: functions that a program passes in place of names in the configuration; None is ignored.
    """
    named = [job.data.preprocess, job.model.build, job.training.callbacks]
    modules = [*(name.partition(":")[0] for name in named if name is not None), *job.model.modules]
    for function in functions:
        if hasattr(function, "__qualname__"):
            modules += _modules_behind(function)
    return list(dict.fromkeys(modules))


def modules_needed(custom_objects: Mapping[str, str], named: Sequence[str]) -> list[str]:
    """Return the modules to import before a saved model is loaded; none for classes of a script or a notebook.

    Args:
        custom_objects: the model's custom classes and functions, each name with its module.
        named: the job's `model.modules`, which are included if there are custom objects.
    """
    if not custom_objects:
        return []
    return [name for name in dict.fromkeys([*named, *custom_objects.values()]) if name != SCRIPT]


def _modules_behind(function: Callable[..., Any]) -> list[str]:
    """Return a function's module; for a script's function, which goes by value, the modules of all its globals."""
    if function.__module__ != "__main__":
        return [function.__module__]
    names = (
        getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None)
        for value in getattr(function, "__globals__", {}).values()
    )
    return [name for name in names if isinstance(name, str) and name not in ("__main__", "builtins")]
