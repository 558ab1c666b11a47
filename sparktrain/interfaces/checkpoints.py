"""What a run's checkpoints are called, which one an attempt goes on from, and which are to go."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

CHECKPOINTS = "checkpoints"  # the folder, under the run's output
_NAME = re.compile(r"(\d{6})-(\d{10})-of-(\d+)\.npz")


@dataclass(frozen=True, order=True)
class Checkpoint:
    """The state of training when so many epochs were done, and so many steps of the next.

    Attributes:
        epoch: how many epochs are done.
        step: how many steps of the epoch behind them; 0 at its beginning, where all is the same on all workers.
        size: how many workers trained.
    """

    epoch: int
    step: int
    size: int

    @property
    def file(self) -> str:
        """The name of its file in CHECKPOINTS."""
        return f"{self.epoch:06d}-{self.step:010d}-of-{self.size}.npz"

    @property
    def path(self) -> str:
        """The name of its file under the run's output."""
        return f"{CHECKPOINTS}/{self.file}"

    def __str__(self) -> str:
        return f"step {self.step} of epoch {self.epoch + 1}" if self.step else f"the end of epoch {self.epoch}"


def read(files: Collection[str]) -> list[Checkpoint]:
    """The checkpoints among the names of files, the newest last."""
    found = (_NAME.fullmatch(file) for file in files)
    return sorted(Checkpoint(*map(int, match.groups())) for match in found if match)


def to_go_on_from(checkpoints: Sequence[Checkpoint], size: int) -> Checkpoint | None:
    """The newest that an attempt of `size` workers can go on from: within an epoch only as many as there were can,
    as each has rows of its own behind it."""
    usable = [each for each in checkpoints if each.step == 0 or each.size == size]
    return max(usable, default=None)


def to_remove(checkpoints: Sequence[Checkpoint], keep: int) -> list[Checkpoint]:
    """All but the newest `keep` of them, and the newest that any number of workers can go on from."""
    kept = sorted(checkpoints)[-keep:]
    kept += [each for each in sorted(checkpoints) if each.step == 0][-1:]
    return [each for each in checkpoints if each not in kept]
