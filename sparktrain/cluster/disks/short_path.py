"""Gives a folder a path that is short enough for Unix sockets in it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

_LONGEST = 60  # bytes: a socket's path has 107, of which multiprocessing's own names in a temporary folder take 32
_ROOT = Path("/tmp")
_PREFIX = "sparktrain-tmp-"
_OLD = 86_400.0  # seconds after which a dangling link is removed


def shorten(folder: Path) -> Path:
    """Return a short path for a folder: its own, or that of a link in a new folder of this user's in /tmp.

    YARN's local folders have about 180 bytes, and multiprocessing.Manager, for one, fails in them: "AF_UNIX path too
    long".

    Args:
        folder: the folder.

    Returns:
        The path, for `forget`. It is the folder's own, too, if /tmp can't be written to.
    """
    if len(os.fsencode(folder)) <= _LONGEST:
        return folder
    try:
        _forget_old()
        link = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_ROOT), "t")  # 0700, so nobody else can change its target
        link.symlink_to(folder, target_is_directory=True)
        return link
    except OSError:  # only code that needs sockets in the folder will fail, with its own message
        return folder


def forget(short: Path, folder: Path) -> None:
    """Remove a short path's link; the folder stays."""
    if short != folder:
        shutil.rmtree(short.parent, ignore_errors=True)


def _forget_old() -> None:
    """Remove old links that killed tasks have left."""
    for link in _ROOT.glob(f"{_PREFIX}*/t"):
        try:
            known = link.lstat()
            if known.st_uid == os.getuid() and time.time() - known.st_mtime > _OLD and not link.exists():
                shutil.rmtree(link.parent, ignore_errors=True)
        except OSError:
            continue  # another task was first
