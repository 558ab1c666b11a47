"""Do what a run does on the storage, step by step, and time each step: on the driver and on executors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from sparktrain.storage import SUMMARY, Folder, StorageError

_SIZE = 1 << 20  # bytes written


class Unfaithful(StorageError):
    """The storage returned something other than what was written."""


def try_storage(folder: Folder) -> dict[str, Any]:
    """Write, read back, list, claim, publish and remove files on a storage.

    Args:
        folder: a new folder, which is removed afterwards.

    Returns:
        milliseconds: duration of each step that was taken; failed: the step that failed, or None; reason: why.
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
    for step, make in steps.items():
        begun = time.perf_counter()
        try:
            if make() is False:
                raise Unfaithful(f"{folder.url}: {step} gave another answer than what was written before")
        except Exception as error:  # the other executors' answers are to be heard as well
            reason = str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}"
            return {"milliseconds": milliseconds, "failed": step, "reason": reason + _tidied(folder, bool(milliseconds))}
        milliseconds[step] = round(1000 * (time.perf_counter() - begun), 1)
    return {"milliseconds": milliseconds, "failed": None, "reason": None}


def _publish(folder: Folder) -> bool:
    folder.write_text(f"staged/{SUMMARY}", "{}")
    folder.publish("staged", "final")
    return folder.exists("final/data") and not folder.exists("staged")


def _tidied(folder: Folder, written: bool) -> str:
    """Remove what a failed examination has left; if that fails, too, return what to add to the reason."""
    try:
        folder.at_once().remove(recursive=True)
    except Exception as error:
        return f"; {folder.url} is left there: {error}" if written else ""
    return ""
