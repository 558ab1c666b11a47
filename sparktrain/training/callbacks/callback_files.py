"""Keeps the files that Keras's callbacks write on a worker's disk with the run, or notes them in the user's own loop."""

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
    """Upload the files that callbacks have written to relative paths to `files/` in the run's folder.

    Args:
        callbacks: this worker's callbacks.
        output: the run's folder.
        here: the folder that the paths are relative to.
    """
    for callback in callbacks:
        path = relative_path(callback)
        if path is None or os.path.normpath(path).startswith(".."):
            continue
        pieces = re.split(r"\{[^}]*\}", os.path.normpath(path))  # such as {epoch} in a checkpoint's name
        for found in sorted(here.glob("*".join(map(glob.escape, pieces)))):
            output.upload(found, f"{FILES}/{found.relative_to(here).as_posix()}")


def note_relative_paths(callbacks: Sequence[keras.callbacks.Callback], note: Callable[[str], None]) -> None:
    """Note the callbacks that write to the worker's own folder, which is removed when the run ends."""
    for callback in callbacks:
        path = relative_path(callback)
        if path is not None:
            note(
                f"{type(callback).__name__} writes to {path} in rank 0's working folder, which is removed when the run ends: read the "
                "file in the function and return what you need of it, or give a path of a folder that lasts"
            )


def relative_path(callback: keras.callbacks.Callback) -> str | None:
    """Return the path that a callback of Keras writes to, if it is relative to the current folder; else None."""
    name = next((name for kind, name in _PATHS.items() if isinstance(callback, kind)), None)
    path = None if name is None else os.fspath(getattr(callback, name))
    return None if path is None or "://" in path or os.path.isabs(path) else path
