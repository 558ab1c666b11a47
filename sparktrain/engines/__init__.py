"""One folder an engine: `launch` (Spark's side) and `collective` (the child's side), each importable alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module

from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.launch import Executors, Launch

__all__ = ["bring_up", "collective", "launch_of"]


def launch_of(engine: str) -> type[Launch]:
    """Return the class of an engine's Spark side. Imports no TensorFlow."""
    return import_module(f"sparktrain.engines.{engine}.launch").EngineLaunch


def bring_up(
    engine: str, executors: Executors, timeout: float, note: Callable[[str], None]
) -> AbstractContextManager[Callable[[], Launch]]:
    """The Spark side of an engine, for one attempt: see `Launch.brought_up`. Imports no TensorFlow."""
    return launch_of(engine).brought_up(executors, timeout, note)


def collective(engine: str, every_step: bool = True) -> Collective:
    """Join an engine's collective, from the child's environment. Call once the launch's environment is set.

    Args:
        every_step: whether the workers will average in every step, or seldom.
    """
    return import_module(f"sparktrain.engines.{engine}.collective").EngineCollective(every_step)
