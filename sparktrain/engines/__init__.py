"""The engines, one folder each: `launch` (Spark's side) and `collective` (the child's side), which can be imported separately."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module

from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.engines import ENGINES
from sparktrain.interfaces.launch import Executors, Launch

__all__ = ["bring_up", "collective", "launch_of", "preload"]


def launch_of(engine: str) -> type[Launch]:
    """Return the class of an engine's Spark side. Imports no TensorFlow."""
    return import_module(f"sparktrain.engines.{engine}.launch").EngineLaunch


def bring_up(
    engine: str, executors: Executors, timeout: float, note: Callable[[str], None]
) -> AbstractContextManager[Callable[[], Launch]]:
    """Return the context with an engine's services on the executors, for one attempt: see `Launch.brought_up`."""
    return launch_of(engine).brought_up(executors, timeout, note)


def collective(engine: str, every_step: bool = True) -> Collective:
    """Join and return an engine's collective; call it when the environment variables of its launch are set.

    Args:
        engine: the engine's name.
        every_step: whether the workers will average in every step; else rarely.
    """
    return import_module(f"sparktrain.engines.{engine}.collective").EngineCollective(every_step)


def preload() -> None:
    """Import the collectives of all engines whose packages are there, without joining anyone."""
    for engine in ENGINES:
        with contextlib.suppress(ImportError):
            import_module(f"sparktrain.engines.{engine}.collective")
