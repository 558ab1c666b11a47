"""Imports Keras without the packages that it imports but rarely uses."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# Packages that `import keras` imports: matplotlib to draw galleries of images, TensorFlow Lite, and pandas to recognise its
# frames. They take a third of the import's time in every training process, and few use any.
_SELDOM = (
    "matplotlib",
    "matplotlib.pyplot",
    "matplotlib.patches",
    "pandas",
    *(f"tensorflow._api.v2.{version}lite" for version in ("", "compat.v1.", "compat.v2.")),
)
_TYPES = {"pandas": ("DataFrame", "Series")}  # classes that Keras reads at import, for isinstance


class Later(ModuleType):
    """A stand-in for a module, which is imported when one of its attributes is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is not self:
            return getattr(importlib.import_module(self.__name__), name)
        if name in _TYPES.get(self.__name__, ()):  # without importing the module
            return LaterType(name, (), {"module": self.__name__})
        raise AttributeError(name)


class LaterType(type):
    """A stand-in for a class in isinstance: as long as its module isn't imported, there are no instances."""

    module: str

    def __instancecheck__(cls, value: object) -> bool:
        module = sys.modules.get(cls.module)
        return module is not None and isinstance(value, getattr(module, cls.__name__))


@contextmanager
def held_back(*names: str) -> Iterator[None]:
    """Defer the import of modules within a context: they are imported when they are first used.

    (importlib.util.LazyLoader can't do that for a package whose submodules are imported by name.)

    Args:
        names: full names of modules; those that are imported already or not installed are ignored.
    """
    substitutes = {name: Later(name) for name in names if name not in sys.modules and _installed(name)}
    sys.modules.update(substitutes)
    try:
        yield
    finally:
        for name, module in substitutes.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None


def import_keras() -> None:
    """Import TensorFlow and Keras, and defer rarely used imports of theirs until they are used."""
    with held_back(*_SELDOM):
        import keras  # noqa: F401  after TensorFlow, which imports it
