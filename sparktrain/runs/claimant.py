"""Identifies the process behind a claim, so that another process can find out whether it has ended."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

HELD_TOKENS: set[str] = set()  # the tokens of this process's claims


def machine() -> str | None:
    """Return an identifier of this process's process table (kernel boot and PID namespace); None outside of Linux.

    A host name isn't enough: two containers on one host may share it, but not see each other's processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return None


def process_is_gone(claim: Mapping[str, Any]) -> bool | None:
    """Return whether the process that made a claim has ended; None if that can't be determined on this machine."""
    if machine() is None or claim.get("machine") != machine():
        return None
    if claim["pid"] == os.getpid():
        return claim.get("token") not in HELD_TOKENS
    try:
        begun = psutil.Process(claim["pid"]).create_time()
    except psutil.NoSuchProcess:
        return True
    return begun > datetime.fromisoformat(claim["since"]).timestamp()  # the process id has been reused
