"""Names a run's checkpoints, and chooses which one an attempt resumes from and which to remove."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

CHECKPOINTS = "checkpoints"  # the folder, under the run's output
_NAME = re.compile(r"(\d{6})-(\d{10})-of-(\d+)\.npz")


@dataclass(frozen=True, order=True)
class Checkpoint:
    """A checkpoint, by the point in training that it was written at.

    Attributes:
        epoch: how many epochs were complete.
        step: how many steps of the next epoch were complete; 0 between epochs, where all workers have the same state.
        size: the number of workers.
    """

    epoch: int
    step: int
    size: int

    @property
    def file(self) -> str:
        """The name of its file in the folder CHECKPOINTS."""
        return f"{self.epoch:06d}-{self.step:010d}-of-{self.size}.npz"

    @property
    def path(self) -> str:
        """The name of its file under the run's output."""
        return f"{CHECKPOINTS}/{self.file}"

    def __str__(self) -> str:
        return f"step {self.step} of epoch {self.epoch + 1}" if self.step else f"the end of epoch {self.epoch}"


def read(files: Collection[str]) -> list[Checkpoint]:
    """Return the checkpoints among file names, the newest last."""
    found = (_NAME.fullmatch(file) for file in files)
    return sorted(Checkpoint(*map(int, match.groups())) for match in found if match)


def to_go_on_from(checkpoints: Sequence[Checkpoint], size: int) -> Checkpoint | None:
    """Return the newest checkpoint that an attempt of `size` workers can resume from; None if there is none.

    A checkpoint within an epoch needs the same number of workers, as each has trained on its own rows of that epoch.
    """
    usable = [each for each in checkpoints if each.step == 0 or each.size == size]
    return max(usable, default=None)


def to_remove(checkpoints: Sequence[Checkpoint], keep: int) -> list[Checkpoint]:
    """Return the checkpoints to remove: all but the newest `keep`, and the newest that was written between epochs."""
    kept = sorted(checkpoints)[-keep:]
    kept += [each for each in sorted(checkpoints) if each.step == 0][-1:]
    return [each for each in checkpoints if each not in kept]
