"""The mirrored engine's collective: a single worker, over whose devices TensorFlow itself sums."""

from sparktrain.engines.single.collective import EngineCollective

__all__ = ["EngineCollective"]
