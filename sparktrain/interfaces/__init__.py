"""The types that the other rooms exchange: small, without side effects, importing nothing of this package."""

from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.engines import ENGINES, Engine
from sparktrain.interfaces.launch import Launch, Place
from sparktrain.interfaces.messages import Checkpointed, EpochEnd, Fit, Order, Source

__all__ = ["ENGINES", "Checkpointed", "Collective", "Engine", "EpochEnd", "Fit", "Launch", "Order", "Place", "Source"]
