"""What a room's `__init__` exports, loaded when it is asked for: not every process that imports a file of a room can load all of it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def load_export(package: str, where: Mapping[str, str], name: str) -> Any:
    """Return an exported object; call this from the package's `__getattr__`.

    Args:
        package: the package's name.
        where: from each exported name to the module of sparktrain that defines it.

    Raises:
        AttributeError: the package doesn't export the name.
    """
    if name not in where:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(f"sparktrain.{where[name]}"), name)
