"""Chooses which of a worker's local disks gets its next file."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


def choose(size: int, free: Sequence[int], written: Sequence[int], workers: Sequence[int], first: int) -> int | None:
    """Choose the disk for a worker's next file: the one of whose share it has used the least.

    Each disk is thus filled in proportion to its room for this worker, so that large disks get more files than small ones.
    Workers that start together start on different disks.

    Args:
        size: the file's bytes.
        free: bytes that may still be written to each disk.
        written: bytes that this worker has written to each disk.
        workers: how many workers share each disk, this one included.
        first: this worker's number among those of its host, from 0.

    Returns:
        The disk's number; None if no disk has room.
    """

    def used(disk: int) -> tuple[float, int]:
        share = free[disk] / workers[disk] + written[disk]
        return written[disk] / max(1.0, share), (disk - first) % len(free)

    return min((disk for disk in range(len(free)) if free[disk] >= size), key=used, default=None)


@dataclass
class Disk:
    """A local disk, as one worker uses it.

    Attributes:
        folder: the worker's folder on the disk.
        spare: bytes of the disk that are left free.
        workers: how many workers write to the disk.
        written: bytes of the worker's files on it.
    """

    folder: Path
    spare: int = 0
    workers: int = 1
    written: int = 0

    @property
    def free(self) -> int:
        """Bytes that may still be written to the disk, by all workers together."""
        return max(0, shutil.disk_usage(self.folder).free - self.spare)


class Disks:
    """The disks of one worker.

    Args:
        disks: one for each disk, at least one.
        first: the worker's number among those of its host, from 0.
        make_room: called with a function that returns whether there is room, where there is none for a file; returns
            whether it has made some.
    """

    def __init__(
        self,
        disks: Sequence[Disk],
        first: int = 0,
        make_room: Callable[[Callable[[], bool]], bool] = lambda enough: False,
    ) -> None:
        self._disks, self._first, self._make_room = list(disks), first, make_room

    @property
    def folders(self) -> list[Path]:
        """The worker's folder on each disk."""
        return [disk.folder for disk in self._disks]

    @property
    def room(self) -> int:
        """Bytes that this worker may still write: its share of what is free on each disk."""
        return sum(disk.free // disk.workers for disk in self._disks)

    def has_room(self, size: int) -> bool:
        """Return whether this worker may write `size` bytes, after room was made for them if need be."""
        return self.room >= size or self._make_room(lambda: self.room >= size)

    def take(self, size: int) -> int:
        """Choose the disk for a file of `size` bytes, and count them as written.

        Returns:
            The disk's number among `folders`.

        Raises:
            OSError: ENOSPC: no disk has room for it.
        """
        disk = self._choose(size)
        if disk is None and self._make_room(lambda: any(each.free >= size for each in self._disks)):
            disk = self._choose(size)
        if disk is None:
            raise OSError(errno.ENOSPC, f"no disk has room for {size:,} bytes more")
        self._disks[disk].written += size
        return disk

    def _choose(self, size: int) -> int | None:
        return choose(
            size,
            [disk.free for disk in self._disks],
            [disk.written for disk in self._disks],
            [disk.workers for disk in self._disks],
            self._first,
        )

    def give_back(self, disk: int, size: int) -> None:
        """Subtract the bytes of a deleted file from those written."""
        self._disks[disk].written -= size
