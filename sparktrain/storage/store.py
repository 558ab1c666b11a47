"""What a kind of store must be able to do; every kind is one file beside this one."""

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
    """A name for a file that is still being written; Spark and Hadoop don't read names that begin with a dot."""
    return secrets.token_hex(8).join(_PART)


def is_part(name: str) -> bool:
    return name.startswith(_PART[0]) and name.endswith(_PART[1])


@dataclass(frozen=True)
class Explanation:
    """Why a store failed, for its user."""

    reason: str
    advice: str
    missing: bool = False


class Store(ABC):
    """One kind of store. Paths are absolute and normalised; errors are those of the library that talks to the store.

    Attributes:
        renames: whether a folder can appear at a new place at once and whole: by `move`; else there is `copy`.
    """

    renames: bool

    @abstractmethod
    def kind(self, path: str) -> Kind | None:
        """What is there; None where nothing is. A store that can't tell raises."""

    @abstractmethod
    def entries(self, path: str) -> dict[str, Kind]:
        """What is in a folder, by its name, in any order.

        Raises:
            NotADirectoryError: or an error of the store's library: it is a file.
        """

    def modified(self, path: str) -> dict[str, float]:
        """When what is in a folder was last modified, in seconds since 1970; a folder is by what is added and removed in it.

        What a store has no time for is left out.
        """
        return {}

    @abstractmethod
    def size(self, path: str) -> int:
        """The bytes of a file."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """A file's content."""

    @abstractmethod
    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece."""

    def fetch(self, path: str, local: Path) -> None:
        """Stream a file's content to a local file."""
        with open(local, "wb") as target:
            target.writelines(self.chunks(path))

    @abstractmethod
    def write(self, path: str, source: bytes | Path) -> None:
        """Make or replace a file, which is seen whole or not at all; a local file is streamed. Folders are made."""

    @abstractmethod
    def claim(self, path: str, data: bytes) -> bool:
        """Make a file if there is nothing at `path`; of several callers exactly one gets True.

        Neither this nor `move` is safe to do again for who can't tell its own earlier try from another's: they try
        again themselves.
        """

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""

    def move(self, source: str, target: str) -> None:
        """Move a folder where nothing is yet.

        Raises:
            FileExistsError: something is at `target`; nothing has moved.
        """
        raise NotImplementedError

    def copy(self, source: str, target: str) -> None:
        """Copy a file, replacing what is at `target`."""
        raise NotImplementedError

    @abstractmethod
    def transient(self, error: Exception) -> bool:
        """Whether the same call may succeed a moment later."""

    def delays(self) -> Sequence[float]:
        """The seconds to wait before each further try of what failed for a transient reason."""
        return retries.UNKNOWN

    @abstractmethod
    def explain(self, error: Exception) -> Explanation | None:
        """An error of this store's in words; None for an error that is none of the store's."""


def explain_os_error(error: OSError) -> Explanation:
    """What the operating system's errors mean for a store, whichever library raised them."""
    reason = str(error) or type(error).__name__
    match error:
        case FileNotFoundError():
            return Explanation("there is no such file or folder", "Check the name.", missing=True)
        case PermissionError():
            return Explanation(f"no permission ({reason})", "Run as a user who may, or have the permission changed.")
        case NotADirectoryError():
            return Explanation("a file is where a folder is needed", "Remove that file, or choose another folder.", missing=True)
        case IsADirectoryError():
            return Explanation("a folder is where a file is needed", "Remove that folder, or choose another name.")
        case FileExistsError():
            return Explanation("something is there already", "Remove it, or choose another name.")
        case ConnectionError() | TimeoutError():
            return Explanation(f"the store does not answer ({reason})", "Check the network and try again.")
        case _:
            return Explanation(reason, "Put that right and try again.")
