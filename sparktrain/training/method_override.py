"""Overrides a method of one instance for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def shadowed(instance: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Override a method of one instance within a context. Not with setattr, as Keras would track the function."""
    before = {name: instance.__dict__[name]} if name in instance.__dict__ else {}
    instance.__dict__[name] = function
    try:
        yield
    finally:
        del instance.__dict__[name]
        instance.__dict__.update(before)
