"""Importing Keras without what it imports only in case it is used."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# What `import keras` takes in besides itself: matplotlib to draw galleries of images, TensorFlow Lite, and pandas to know
# its frames. A third of the import's time in every training process, of which few use any.
_SELDOM = (
    "matplotlib",
    "matplotlib.pyplot",
    "matplotlib.patches",
    "pandas",
    *(f"tensorflow._api.v2.{version}lite" for version in ("", "compat.v1.", "compat.v2.")),
)
_TYPES = {"pandas": ("DataFrame", "Series")}  # that are asked for at once, to know their objects by


class Later(ModuleType):
    """A module in whose place this one stands until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is not self:
            return getattr(importlib.import_module(self.__name__), name)
        if name in _TYPES.get(self.__name__, ()):  # still being held back
            return LaterType(name, (), {"module": self.__name__})
        raise AttributeError(name)


class LaterType(type):
    """A class in whose place this one stands in isinstance: as long as its module isn't loaded, there are no objects of it."""

    module: str

    def __instancecheck__(cls, value: object) -> bool:
        module = sys.modules.get(cls.module)
        return module is not None and isinstance(value, getattr(module, cls.__name__))


@contextmanager
def held_back(*names: str) -> Iterator[None]:
    """Modules that are imported meanwhile, for the first time, are there at once, and loaded when they are first used.

    (importlib.util.LazyLoader can't do that for a package whose parts are imported by their own names.)

    Args:
        names: full names of modules; those that are imported already or are not installed are left alone.
    """
    mine = {name: Later(name) for name in names if name not in sys.modules and _installed(name)}
    sys.modules.update(mine)
    try:
        yield
    finally:
        for name, module in mine.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None


def import_keras() -> None:
    """Import TensorFlow and Keras without what is seldom used of what they take in; it is loaded when it is used."""
    with held_back(*_SELDOM):
        import keras  # noqa: F401  after TensorFlow, which imports it
