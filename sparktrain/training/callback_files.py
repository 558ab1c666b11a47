"""What Keras's writing callbacks leave on a worker's disk: kept with a job's run, and told of in a loop of the user's own."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from sparktrain.storage import Folder

FILES = "files"  # under the run's folder

_PATHS = {
    keras.callbacks.ModelCheckpoint: "filepath",
    keras.callbacks.CSVLogger: "filename",
    keras.callbacks.TensorBoard: "log_dir",
}


def keep_files(callbacks: Sequence[keras.callbacks.Callback], output: Folder, here: Path = Path()) -> None:
    """Upload what callbacks have written to relative paths into the run's folder, under `files/`.

    Args:
        callbacks: of this worker.
        output: the run's folder.
        here: the folder that the paths are of.
    """
    for callback in callbacks:
        path = relative_path(callback)
        if path is None or os.path.normpath(path).startswith(".."):
            continue
        pieces = re.split(r"\{[^}]*\}", os.path.normpath(path))  # such as {epoch} in a checkpoint's name
        for found in sorted(here.glob("*".join(map(glob.escape, pieces)))):
            output.upload(found, f"{FILES}/{found.relative_to(here).as_posix()}")


def note_relative_paths(callbacks: Sequence[keras.callbacks.Callback], note: Callable[[str], None]) -> None:
    """Tell of callbacks that write into the worker's own folder, where that is removed as the run ends."""
    for callback in callbacks:
        path = relative_path(callback)
        if path is not None:
            note(
                f"{type(callback).__name__} writes to {path} in rank 0's working folder, which is removed when the run ends: read the "
                "file in the function and return what you need of it, or give a path of a folder that lasts"
            )


def relative_path(callback: keras.callbacks.Callback) -> str | None:
    """Where a callback of Keras writes, if that is relative to the current folder."""
    name = next((name for kind, name in _PATHS.items() if isinstance(callback, kind)), None)
    path = None if name is None else os.fspath(getattr(callback, name))
    return None if path is None or "://" in path or os.path.isabs(path) else path
