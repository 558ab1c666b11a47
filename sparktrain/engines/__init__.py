"""One folder an engine: `launch` (Spark's side) and `collective` (the child's side), each importable alone."""

from __future__ import annotations

from importlib import import_module

from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.launch import Launch

ENGINES = ("single", "horovod")


def launch(engine: str) -> Launch:
    """The Spark side of an engine. Imports no TensorFlow."""
    return import_module(f"sparktrain.engines.{engine}.launch").EngineLaunch()


def collective(engine: str) -> Collective:
    """Join an engine's collective, from the child's environment. Call once the launch's environment is set."""
    return import_module(f"sparktrain.engines.{engine}.collective").EngineCollective()
