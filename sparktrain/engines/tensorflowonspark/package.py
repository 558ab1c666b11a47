"""Imports TensorFlowOnSpark without the side effects of its import."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _TensorFlow(ModuleType):
    """A stand-in for TensorFlow that imports it when one of its attributes is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("tensorflow"), name)


@contextmanager
def plain_import() -> Iterator[None]:
    """Prevent, within a context, the side effects of importing TensorFlowOnSpark's modules.

    Otherwise the package imports TensorFlow for helpers that its nodes never call here (seconds and hundreds of MB on every executor
    and in the driver), makes the whole process log at level INFO, and warns of pkg_resources.
    """
    quiet = logging.NullHandler()  # logging.basicConfig does nothing if there is a handler
    logging.root.addHandler(quiet)
    stand_in = None if "tensorflow" in sys.modules else _TensorFlow("tensorflow")
    if stand_in is not None:
        sys.modules["tensorflow"] = stand_in
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
            yield
    finally:
        logging.root.removeHandler(quiet)
        if stand_in is not None and sys.modules.get("tensorflow") is stand_in:
            del sys.modules["tensorflow"]
