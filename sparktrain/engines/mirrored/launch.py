"""The mirrored engine's Spark side: one worker, as with engine single; its devices come together in the child."""

from sparktrain.engines.single.launch import EngineLaunch

__all__ = ["EngineLaunch"]
