"""The single engine's collective: a single worker, whose sums are its own values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparktrain.interfaces.collective import Collective


class EngineCollective(Collective):
    """The collective of a single worker."""

    rank = 0
    size = 1

    def __init__(self, every_step: bool) -> None:
        """Do nothing: how often workers average makes no difference for one."""

    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        return list(tensors)

    def gather_tensors(self, tensor: Any, counts: Any) -> Any:
        return tensor

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def broadcast(self, value: Any) -> Any:
        return value

    def is_echo(self, error: BaseException) -> bool:
        return False

    def close(self) -> None:
        """Do nothing: there are no other workers."""
