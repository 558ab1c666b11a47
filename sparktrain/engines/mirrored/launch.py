"""The mirrored engine's Spark side: a single worker, as with engine single, whose child uses all its devices."""

from sparktrain.engines.single.launch import EngineLaunch

__all__ = ["EngineLaunch"]
