"""The single engine's Spark side: one worker has nobody to come together with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sparktrain.interfaces.launch import Launch, Place


class EngineLaunch(Launch):
    """Starts nothing."""

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
        """There is nothing to end."""
