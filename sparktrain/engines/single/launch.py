"""The single engine's Spark side, which has nothing to do for a single worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sparktrain.interfaces.launch import Launch, Place


class EngineLaunch(Launch):
    """The launch of a single worker, which starts nothing."""

    def join(self, place: Place, segments: str, gather: Callable[[str], list[str]]) -> Mapping[str, str]:
        """See `Launch.join`.

        Raises:
            ValueError: there is more than one worker.
        """
        if place.size != 1:
            raise ValueError(
                f"this engine trains with one worker, and {place.size} came: set training.workers to 1, or take engine horovod"
            )
        return {}

    def close(self) -> None:
        """Do nothing: `join` starts nothing."""
