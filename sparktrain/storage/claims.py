"""Claims: which process a folder belongs to, and how a process that was taken for dead learns that it lost it.

A claim is a small file, made where there is none (`Folder.claim`), and numbered: the highest number owns the folder. Who takes
a folder over from a dead process claims the next number, so of several who try, one wins, and nothing is ever replaced. The
random token in each tells a process its own claim from any other's: who writes into a claimed folder checks it first.
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
    """The folder belongs to another process by now: this one may not write into it any more."""


def claim_name(number: int) -> str:
    """The file of a claim: running.json, running.2.json, …"""
    return "running.json" if number == 1 else f"running.{number}.json"


def is_claim(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def owner(folder: Folder) -> tuple[int, dict[str, Any]] | None:
    """The number and the content of the claim that owns a folder; None where nobody does.

    Raises:
        StorageError: the storage can't be read.
    """
    try:
        matches = [match for name in folder.list() if (match := _NAME.fullmatch(name))]
        if not matches:
            return None
        number = max(int(match[1] or 1) for match in matches)
        return number, json.loads(folder.read_bytes(claim_name(number)))
    except NotFound:  # it was released meanwhile, or there is no folder
        return None


def take(folder: Folder, content: Mapping[str, Any], after: int = 0) -> str | None:
    """Claim a folder.

    Args:
        content: who claims it, as JSON; with a `token` that nobody else has, or one is made.
        after: the number of the dead claim that this one follows; 0 where there is none.

    Returns:
        The claim's token; None where another was quicker.

    Raises:
        StorageError: the storage can't be written.
    """
    token = content.get("token") or secrets.token_hex(16)
    if not folder.claim(claim_name(after + 1), json.dumps({**content, "token": token}).encode()):
        return None
    return token if holds(folder, token) else None


def holds(folder: Folder, token: str) -> bool:
    """Whether the claim with this token owns the folder.

    Raises:
        StorageError: the storage can't be read.
    """
    found = owner(folder)
    return found is not None and found[1].get("token") == token


def check_claim(folder: Folder, token: str) -> None:
    """Refuse to go on in a folder that belongs to another process.

    Raises:
        ClaimLost: it does.
        NotFound: it is gone, or its claim is.
        StorageError: the storage can't be read.
    """
    found = owner(folder)
    if found is None:
        raise NotFound(
            f"{folder.url}: it can't be written to: the folder, or this process's claim in it, is gone. Somebody has removed "
            "it, or the storage has lost it"
        )
    if found[1].get("token") != token:
        other = {name: found[1].get(name) for name in ("application", "host", "since")}
        raise ClaimLost(
            f"{folder.url}: another process has taken it over: {other}. This one had given no sign of life, and ends "
            "without touching it"
        )


def release(folder: Folder) -> None:
    """Remove all claims of a folder, the owner's last."""
    for name in sorted((name for name in folder.list() if is_claim(name)), key=lambda name: (len(name), name)):
        folder.remove(name)
