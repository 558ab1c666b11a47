"""The interface of a kind of store; each kind is implemented in a file beside this one."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sparktrain.storage import retries

Kind = Literal["file", "folder"]

_PART = (".sparktrain-", ".part")


def part_name() -> str:
    """Return a new name for a file that is being written; Spark and Hadoop ignore names that begin with a dot."""
    return secrets.token_hex(8).join(_PART)


def is_part(name: str) -> bool:
    """Return whether a name is from `part_name`."""
    return name.startswith(_PART[0]) and name.endswith(_PART[1])


@dataclass(frozen=True)
class Explanation:
    """An explanation for users why a store failed, with advice; `missing` if a file or folder doesn't exist."""

    reason: str
    advice: str
    missing: bool = False


class Store(ABC):
    """A kind of store. Paths are absolute and normalised; errors are those of the library that accesses the store.

    Attributes:
        renames: whether a folder can be renamed atomically, with `move`; otherwise there is `copy`.
    """

    renames: bool

    @abstractmethod
    def kind(self, path: str) -> Kind | None:
        """Return whether a path is a file or a folder; None if nothing is there. Raises if the store can't tell."""

    @abstractmethod
    def entries(self, path: str) -> dict[str, Kind]:
        """Return the kind of each entry in a folder, by its name, in any order.

        Raises:
            NotADirectoryError: or an error of the store's library: the path is a file.
        """

    def modified(self, path: str) -> dict[str, float]:
        """Return when each entry in a folder was last modified, in seconds since 1970, as far as the store knows.

        A folder is modified when entries are added or removed.
        """
        return {}

    @abstractmethod
    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return a file's content."""

    @abstractmethod
    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's content in pieces."""

    def fetch(self, path: str, local: Path) -> None:
        """Stream a file's content to a local file."""
        with open(local, "wb") as target:
            target.writelines(self.chunks(path))

    @abstractmethod
    def write(self, path: str, source: bytes | Path) -> None:
        """Create or replace a file atomically, with its parent folders; a local file is streamed."""

    @abstractmethod
    def claim(self, path: str, data: bytes) -> bool:
        """Create a file if nothing is at `path`, and return whether this call did; of several callers exactly one does.

        Callers must not repeat this or `move`, as they couldn't tell their own earlier try from another caller's: both
        retry by themselves.
        """

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, or a folder with everything in it."""

    def move(self, source: str, target: str) -> None:
        """Move a folder to a path where nothing is yet.

        Raises:
            FileExistsError: something is at `target`; nothing was moved.
        """
        raise NotImplementedError

    def copy(self, source: str, target: str) -> None:
        """Copy a file, replacing what is at `target`."""
        raise NotImplementedError

    @abstractmethod
    def transient(self, error: Exception) -> bool:
        """Return whether the same call may succeed later."""

    def delays(self) -> Sequence[float]:
        """Return the seconds to wait before each retry after a transient error."""
        return retries.UNKNOWN

    @abstractmethod
    def explain(self, error: Exception) -> Explanation | None:
        """Explain an error of this store; return None for an error that isn't the store's."""


def explain_os_error(error: OSError) -> Explanation:
    """Explain an error of the operating system for a store, whichever library raised it."""
    reason = str(error) or type(error).__name__
    match error:
        case FileNotFoundError():
            return Explanation("there is no such file or folder", "Check the name.", missing=True)
        case PermissionError():
            return Explanation(f"no permission ({reason})", "Run as a user with permission, or have it changed.")
        case NotADirectoryError():
            return Explanation("a file is where a folder is needed", "Remove that file, or choose another folder.", missing=True)
        case IsADirectoryError():
            return Explanation("a folder is where a file is needed", "Remove that folder, or choose another name.")
        case FileExistsError():
            return Explanation("something is there already", "Remove it, or choose another name.")
        case ConnectionError() | TimeoutError():
            return Explanation(f"the store does not answer ({reason})", "Check the network and try again.")
        case _:
            return Explanation(reason, "Correct that and try again.")
