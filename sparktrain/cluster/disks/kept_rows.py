"""Keeps a part's segments on the local disks of its executor after a run, for the next run over the same rows.

The segments of a run that is at work lie in its task's own folders. Kept ones lie beside those, in a folder on each disk whose name has
the rows' token, the part and the executor's process. Keeping and taking them is renaming, so that a task has them to itself. A folder
goes when the disk is needed, or, as those of tasks do, when the process in its name is gone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparktrain.feed import Filled

_SEGMENTS = "segments"  # the folder with a task's segments, on each disk
_DESCRIPTION = "filled.json"  # in the first of a part's folders
_PREFIX = "sparktrain-rows-"


class RowsGone(RuntimeError):
    """Raised where executors have lost rows that an earlier run had filled."""


@dataclass(frozen=True)
class KeptRows:
    """What an attempt's tasks do with rows that stay on the executors.

    Attributes:
        token: names the rows, divided among this number of workers.
        filled: whether an earlier attempt has filled them, so that tasks take them instead of filling.
        stay: whether they stay after this run has finished; if it fails, they do in any case.
    """

    token: str
    filled: bool
    stay: bool


def segment_folders(folders: Sequence[Path]) -> list[Path]:
    """Return the folders for segments, one on each disk, in a task's folders."""
    return [folder / _SEGMENTS for folder in folders]


def keep(token: str, part: int, executor: int, folders: Sequence[Path], filled: Filled) -> None:
    """Move a task's segments to where the next task on this executor finds them.

    Args:
        token: names the rows.
        part: the part that they are.
        executor: the process id of the executor's JVM, with which they end.
        folders: the task's folders, one on each disk.

    Raises:
        OSError: they can't be moved; nothing is kept.
    """
    sources = segment_folders(folders)
    (sources[0] / _DESCRIPTION).write_text(json.dumps(filled.to_json()))
    for source in reversed(sources):  # the description last: what has it is whole
        os.utime(source)  # rows that a run has just used are dropped last, however long ago they were filled
        source.rename(_place(source, token, part, executor))


def take(token: str, part: int, executor: int, folders: Sequence[Path]) -> tuple[int, Filled] | None:
    """Move kept segments into a task's folders.

    Args:
        part: the part to take if the executor has several, as in local mode; else any part is taken.
        folders: the task's folders, one on each disk, without segments.

    Returns:
        The part that they are, and their description; None if the executor has none, or not all of one.
    """
    targets = segment_folders(folders)
    names = targets[0].parent.parent.glob(f"{_PREFIX}{token}-*-pid{executor}")
    kept = sorted(int(name.name.split("-")[3]) for name in names)
    if not kept:
        return None
    chosen = part if part in kept else kept[0]
    try:
        for target in targets:
            _place(target, token, chosen, executor).rename(target)
        return chosen, Filled.from_json(json.loads((targets[0] / _DESCRIPTION).read_text()))
    except (FileNotFoundError, NotADirectoryError):  # another task took them, or they were dropped meanwhile
        for target in targets:
            shutil.rmtree(target, ignore_errors=True)
        return None


def make_room(directories: Sequence[Path], enough: Callable[[], bool]) -> bool:
    """Drop kept rows, the oldest first, until there is room enough.

    Args:
        directories: Spark's local directories on this executor.
        enough: returns whether there is.

    Returns:
        Whether there is room enough now.
    """
    while not enough():
        kept = [path for directory in directories for path in directory.glob(f"{_PREFIX}*")]
        if not kept:
            return False
        oldest = min(kept, key=_modified).name
        for directory in directories:
            shutil.rmtree(directory / oldest, ignore_errors=True)
            if (directory / oldest).exists():  # it can't be removed: not to be tried for ever
                return False
    return True


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _place(segments: Path, token: str, part: int, executor: int) -> Path:
    return segments.parent.parent / f"{_PREFIX}{token}-{part}-pid{executor}"
