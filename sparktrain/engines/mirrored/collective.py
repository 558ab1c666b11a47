"""The mirrored engine's collective: one worker; over its devices TensorFlow itself sums."""

from sparktrain.engines.single.collective import EngineCollective

__all__ = ["EngineCollective"]
