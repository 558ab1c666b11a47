"""What of .venv was made, from which files; ensure.sh compares the same without a Python.

Imported by install.py under the machine's Python: only the standard library is at hand.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steps import LOG, PYTHON, ROOT, VENV, say

INPUTS = tuple(ROOT / path for path in ("pyproject.toml", "setup.py", "constraints.txt", "environment/install.py"))
MARK = VENV / "made-by-sparktrain"  # without it a .venv is someone else's, and is left alone
STAMPS = VENV / "installed"  # a folder a layer: what it was made from
WITHOUT_HOROVOD = STAMPS / "without-horovod"  # the reason, where Horovod is left out
HOROVOD = STAMPS / "horovod"  # there while Horovod is installed, whole


class Busy(Exception):
    """Another start is making the environment."""


@contextmanager
def alone(wait: bool = True) -> Iterator[int]:
    """Hold the project's environment against other starts; gives the descriptor that holds it.

    The kernel lets go when this process and the tools it started have ended, however they do: a pip that outlives a
    killed start must not write into what the next one makes.

    Raises:
        Busy: another start holds it, and it isn't to be waited for.
    """
    with open(ROOT / "constraints.txt") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            _lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise Busy from None
            say(f"another start is making the environment, or compiles in the background; waiting for it (its log: {LOG})")
            _lock(file.fileno(), fcntl.LOCK_EX)
        yield file.fileno()


def _lock(descriptor: int, how: int) -> None:
    try:
        fcntl.flock(descriptor, how)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        # NFS locks for writing only what is open for writing.
        writable = os.open(ROOT / "constraints.txt", os.O_RDWR)
        os.dup2(writable, descriptor, inheritable=True)
        os.close(writable)
        fcntl.flock(descriptor, how)


def current(layer: str) -> bool:
    """Whether a layer was made, here, from what the project's files say now."""
    stamp = STAMPS / layer
    return (
        os.access(PYTHON, os.X_OK)
        and _text(stamp / "place") == f"{ROOT}\n"
        and all(_text(stamp / path.name) == _text(path) for path in INPUTS)
    )


def write_stamp(layer: str) -> None:
    """Note what a layer was made from; appears whole, and is written last, so that an interrupted install is redone."""
    fresh = STAMPS / f"{layer}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    (fresh / "place").write_text(f"{ROOT}\n")
    for path in INPUTS:
        shutil.copy(path, fresh / path.name)
    fresh.rename(STAMPS / layer)


def remove_stamp(layer: str) -> None:
    """Note that a layer is no longer, or not yet, what it was."""
    shutil.rmtree(STAMPS / layer, ignore_errors=True)


def usable() -> bool:
    """Whether what lies in .venv can be brought up to date, rather than made anew.

    It can't after an interrupted installation (a layer's stamp is gone while it is made), a move of the project
    (scripts carry the old path) or the end of the Python it was made with.
    """
    return os.access(PYTHON, os.X_OK) and _text(STAMPS / "base" / "place") == f"{ROOT}\n"


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
