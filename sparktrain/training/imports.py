"""Importing Keras without what it imports only in case it is used."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Iterator

# `import keras` takes in matplotlib, to draw galleries of images: an eighth of the import's time in every training
# process, and none draws any. (It takes in pandas, too, but asks it for its types at once.)
_SELDOM = ("matplotlib", "matplotlib.pyplot", "matplotlib.patches")


class Later(ModuleType):
    """A module in whose place this one stands until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:   # still being held back
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


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
    """Import TensorFlow and Keras without matplotlib, which is loaded when it is used."""
    with held_back(*_SELDOM):
        import keras   # noqa: F401  after TensorFlow, which imports it
