"""Takes over a run whose driver is dead."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sparktrain.runs.claimant import process_is_gone
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.paths import STATUS
from sparktrain.storage import NotFound, claims

SILENT = 180.0  # seconds; a driver writes its status every minute
_LOOK = 5.0  # seconds between reads of another driver's status


def take_over(
    folder: RunFolder,
    who: Mapping[str, Any],
    note: Callable[[str], object] = lambda text: None,
    silent: float = SILENT,
    pause: Callable[[float], object] = time.sleep,
) -> str | None:
    """Claim a run whose driver is dead.

    A driver on this machine is dead if its process is gone. A driver elsewhere is dead if it writes nothing to the storage
    for `silent` seconds by this process's clock: its host's clock may differ.

    Args:
        who: this process, as `RunFolder.claim` records it.
        note: called with a message if the other driver has to be watched.
        silent: seconds to watch for a sign of life.
        pause: waits for some seconds; what it raises ends the watching.

    Returns:
        The new claim's token; None if the other driver is alive or another process claimed the run first.

    Raises:
        StorageError: the storage fails.
    """
    found = claims.owner(folder.staged)
    if found is None:  # it has ended meanwhile
        return claims.take(folder.staged, who)
    number, other = found
    dead = process_is_gone(other)
    if dead is None:
        note(
            f"run {folder.run} belongs to {other.get('application')} on {other.get('host')}, started {other.get('since')}: waiting up "
            f"to {silent:.0f} s to see whether it is alive"
        )
        dead = _stays_silent(folder, silent, pause)
    return claims.take(folder.staged, who, after=number) if dead else None


def _stays_silent(folder: RunFolder, seconds: float, pause: Callable[[float], object]) -> bool:
    begun, before = time.monotonic(), _signs(folder)
    while time.monotonic() - begun < seconds:
        pause(min(_LOOK, seconds / 10))
        if _signs(folder) != before:
            return False
    return True


def _signs(folder: RunFolder) -> tuple[Any, str]:
    """Return the claim and the status, of which a live driver changes one from time to time."""
    try:
        status = folder.staged.read_text(STATUS)
    except NotFound:
        status = ""
    return claims.owner(folder.staged), status
