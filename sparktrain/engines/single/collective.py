"""The single engine's collective: one worker, whose sums are its own values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparktrain.interfaces.collective import Collective


class EngineCollective(Collective):
    """One worker alone."""

    rank = 0
    size = 1

    def __init__(self, every_step: bool) -> None:
        """How often makes no difference here."""

    def sum_in_graph(self, tensors: Sequence[Any]) -> list[Any]:
        return list(tensors)

    def gather_in_graph(self, tensor: Any, counts: Any) -> Any:
        return tensor

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def broadcast(self, value: Any) -> Any:
        return value

    def is_echo(self, error: BaseException) -> bool:
        return False

    def close(self) -> None:
        """There is nobody to leave."""
