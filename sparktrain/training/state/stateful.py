"""The protocol of what has state in a fit, and the moments at which a resumed fit loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol


class Stateful(Protocol):
    """What has state that a resumed fit needs, to end as one that was not interrupted."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state by name, as arrays, numbers, and lists and dicts of them."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Restore a state from `state_dict`."""


class Kind(Enum):
    """Where the state of a part is between two attempts."""

    SHARED = auto()  # in the checkpoint, once: it is the same on all workers
    OWN = auto()  # in the checkpoint, for each worker: lost if the number of workers changes
    DERIVED = auto()  # in no file: it follows from the position in training, and from what was loaded before
    HELD = auto()  # in the model's variables: held from there, as callbacks of the user's change it while the fit begins


class Moment(Enum):
    """When a state is loaded, while a resumed fit begins."""

    BUILT = auto()  # all parts are made, and nothing of Keras's fit has run
    TRAINING_BEGUN = auto()  # callbacks have had on_train_begin, in which Keras's own reset their state
    BETWEEN_EPOCHS = auto()  # the next epoch begins, or there is none left; its callbacks are yet to have on_epoch_begin
    WITHIN_EPOCH = auto()  # the rest of an epoch begins: metrics are reset, and callbacks have had on_epoch_begin once more


@dataclass(frozen=True)
class Part:
    """One part of a fit's state.

    Attributes:
        name: its name, also in a checkpoint's file.
        of: what has the state.
        kind: where the state is between two attempts.
        moments: when it is loaded.
    """

    name: str
    of: Stateful
    kind: Kind
    moments: frozenset[Moment]

    @property
    def only_within_epoch(self) -> bool:
        """Whether it has no state to be saved between epochs."""
        return self.moments == {Moment.WITHIN_EPOCH}


class FitState:
    """The parts of a fit's state in their order, and the states that a checkpoint has for them.

    Args:
        parts: in the order in which they are loaded.

    Attributes:
        parts: as given.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = list(parts)
        self._states: dict[str, Mapping[str, Any]] = {}

    def resume(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the states of a checkpoint, by the names of their parts, and load those whose moment is BUILT.

        Args:
            states: a part without a state here keeps the one that it was made with.
        """
        self._states = dict(states)
        self.load(Moment.BUILT)
        self._states |= {part.name: part.of.state_dict() for part in self.parts if part.kind is Kind.HELD}

    def load(self, moment: Moment) -> None:
        """Load the states of a moment; do nothing in a fit that doesn't resume."""
        for part in self.parts:
            if moment in part.moments and part.name in self._states:
                part.of.load_state_dict(self._states[part.name])
        if moment in (Moment.BETWEEN_EPOCHS, Moment.WITHIN_EPOCH):  # the last one of a fit: the arrays' memory is freed
            self._states = {}
