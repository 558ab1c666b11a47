"""The process behind a claim: named so that another process can tell whether it has ended."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

HELD_TOKENS: set[str] = set()  # the tokens of this process's claims


def machine() -> str | None:
    """Names the process table that this process is in, by the kernel's boot and the PID namespace; None where it has no name.

    Two containers of one host may have one host name, and know nothing of each other's processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return None


def process_is_gone(claim: Mapping[str, Any]) -> bool | None:
    """Whether the process of a claim has ended; None where this machine can't know."""
    if machine() is None or claim.get("machine") != machine():
        return None
    if claim["pid"] == os.getpid():
        return claim.get("token") not in HELD_TOKENS
    try:
        begun = psutil.Process(claim["pid"]).create_time()
    except psutil.NoSuchProcess:
        return True
    return begun > datetime.fromisoformat(claim["since"]).timestamp()  # the number is another process's by now
