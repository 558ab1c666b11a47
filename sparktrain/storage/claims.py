"""Claims: record which process owns a folder, so that one that was taken for dead notices that it has lost it.

A claim is a small numbered file that is only created, never replaced (`Folder.claim`): the highest number owns the folder. A
process that takes a folder over from a dead one claims the next number, so that of several that try exactly one succeeds. A
random token in each claim identifies its process, which checks it before it writes into the folder.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

from sparktrain.storage.errors import NotFound, StorageError
from sparktrain.storage.folder import Folder

_NAME = re.compile(r"running(?:\.(\d+))?\.json")


class ClaimLost(StorageError):
    """Raised where another process has taken the folder over, so that this one must not write into it any more."""


def claim_name(number: int) -> str:
    """Return the file name of a claim: running.json, running.2.json, …"""
    return "running.json" if number == 1 else f"running.{number}.json"


def is_claim(name: str) -> bool:
    """Return whether a file name is that of a claim."""
    return _NAME.fullmatch(name) is not None


def owner(folder: Folder) -> tuple[int, dict[str, Any]] | None:
    """Return the number and the content of the claim that owns a folder; None if it isn't claimed.

    Raises:
        StorageError: the storage can't be read.
    """
    try:
        matches = [match for name in folder.list() if (match := _NAME.fullmatch(name))]
        if not matches:
            return None
        number = max(int(match[1] or 1) for match in matches)
        return number, json.loads(folder.read_bytes(claim_name(number)))
    except NotFound:  # it has just been released, or there is no folder
        return None


def take(folder: Folder, content: Mapping[str, Any], after: int = 0) -> str | None:
    """Claim a folder.

    Args:
        content: a description of this process, for JSON; its `token` must be unique, and is made if it is missing.
        after: the number of the dead claim that this one follows; 0 if there is none.

    Returns:
        The claim's token; None if another process claimed the folder first.

    Raises:
        StorageError: the storage can't be written.
    """
    token = content.get("token") or secrets.token_hex(16)
    if not folder.claim(claim_name(after + 1), json.dumps({**content, "token": token}).encode()):
        return None
    return token if holds(folder, token) else None


def holds(folder: Folder, token: str) -> bool:
    """Return whether the claim with this token owns the folder.

    Raises:
        StorageError: the storage can't be read.
    """
    found = owner(folder)
    return found is not None and found[1].get("token") == token


def check_claim(folder: Folder, token: str) -> None:
    """Check that the claim with this token owns the folder.

    Raises:
        ClaimLost: another process owns it.
        NotFound: the folder or its claim is gone.
        StorageError: the storage can't be read.
    """
    found = owner(folder)
    if found is None:
        raise NotFound(
            f"{folder.url}: it can't be written to: the folder, or this process's claim in it, is gone. It was removed, or the "
            "storage has lost it"
        )
    if found[1].get("token") != token:
        other = {name: found[1].get(name) for name in ("application", "host", "since")}
        raise ClaimLost(
            f"{folder.url}: another process has taken it over: {other}. This one had given no sign of life, and ends "
            "without changing it"
        )


def release(folder: Folder) -> None:
    """Remove all claims on a folder, the owner's last."""
    for name in sorted((name for name in folder.list() if is_claim(name)), key=lambda name: (len(name), name)):
        folder.remove(name)
