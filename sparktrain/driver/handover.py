"""How a program's last line comes to the launcher: in a file, past spark-submit.

spark-submit's JVM relays what its Python program prints. A signal halts it before it has relayed the last of that, and
it doesn't pass the signal on. So the program tells the launcher its process, to be ended as it likes, and its line.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

VARIABLE = "SPARKTRAIN_LAUNCHER"   # a folder of the launcher's, in the program's environment

_folder: Path | None = None
_alive: TextIO | None = None       # locked for as long as this process lives


def announce() -> None:
    """Tell the launcher, if there is one, that this process is the program, and that its line will come."""
    global _folder, _alive
    named = os.environ.pop(VARIABLE, None)   # what this process starts is not the program
    if named is None:
        return
    try:
        alive = open(Path(named, "program"), "w")
        fcntl.lockf(alive, fcntl.LOCK_EX)
        alive.write(str(os.getpid()))
        alive.flush()
    except OSError:   # another machine's launcher, or another user's: the line goes to standard output
        return
    _folder, _alive = Path(named), alive


def hand_over(line: str) -> bool:
    """Leave the line to the launcher, which prints it last.

    Returns:
        Whether there is a launcher.
    """
    if _folder is None:
        return False
    try:
        Path(_folder, "new").write_text(line)
        os.replace(_folder / "new", _folder / "line")
    except OSError:   # the launcher was killed, or there is no space left
        return False
    return True


class Handover:
    """The launcher's side.

    Args:
        folder: an empty one, which the program finds in VARIABLE.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    @property
    def announced(self) -> bool:
        """Whether there is, or was, a program that promised a line."""
        return (self._folder / "program").exists()

    @property
    def line(self) -> str | None:
        path = self._folder / "line"
        return path.read_text() if path.exists() else None

    @property
    def pid(self) -> int | None:
        """The program's process, while it lives."""
        if not self.announced:
            return None
        with open(self._folder / "program", "r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:   # it holds its lock: the number is its own, and not that of a process come since
                return int(file.read() or 0) or None
            return None
