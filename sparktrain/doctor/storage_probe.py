"""Tries on a storage what a run does there, step by step, and times each step; on the driver and on executors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from sparktrain.storage import SUMMARY, Folder, StorageError

_SIZE = 1 << 20  # bytes that are written


class WrongResult(StorageError):
    """Raised where the storage returned something other than what was written to it."""


def try_storage(folder: Folder) -> dict[str, Any]:
    """Write, read back, list, claim, publish and remove files on a storage.

    Args:
        folder: a new folder, which is removed afterwards.

    Returns:
        milliseconds: the duration of each step that succeeded; failed: the step that failed, or None; reason: why it failed.
    """
    content = os.urandom(_SIZE)
    steps: dict[str, Callable[[], bool | None]] = {
        "write": lambda: folder.write_bytes("staged/data", content),
        "read": lambda: folder.read_bytes("staged/data") == content,
        "list": lambda: folder.join("staged").list() == ["data"],
        "claim": lambda: [folder.claim("claimed", b"first"), folder.claim("claimed", b"second")] == [True, False],
        "publish": lambda: _publish(folder),
        "remove": lambda: folder.remove(recursive=True),
    }
    milliseconds: dict[str, float] = {}
    for step, action in steps.items():
        begun = time.perf_counter()
        try:
            if action() is False:
                raise WrongResult(f"{folder.url}: the result of `{step}` contradicts what was written before")
        except Exception as error:  # returned, as raising it would lose the results of the other executors
            reason = str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}"
            return {"milliseconds": milliseconds, "failed": step, "reason": reason + _clean_up(folder, bool(milliseconds))}
        milliseconds[step] = round(1000 * (time.perf_counter() - begun), 1)
    return {"milliseconds": milliseconds, "failed": None, "reason": None}


def _publish(folder: Folder) -> bool:
    folder.write_text(f"staged/{SUMMARY}", "{}")
    folder.publish("staged", "final")
    return folder.exists("final/data") and not folder.exists("staged")


def _clean_up(folder: Folder, written: bool) -> str:
    """Remove the folder of a failed trial; if that fails, too, and files were written, return a text to add to the reason."""
    try:
        folder.at_once().remove(recursive=True)
    except Exception as error:
        return f"; the test folder {folder.url} could not be removed either: {error}" if written else ""
    return ""
