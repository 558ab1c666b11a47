"""The store for the other schemes that fsspec knows (memory://, s3://, gs://, abfs://): object stores, without renames."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

from sparktrain.storage.errors import StorageError
from sparktrain.storage.store import Explanation, Kind, Store, explain_os_error
from sparktrain.storage.urls import Location

_claiming = threading.Lock()  # memory:// checks and creates in two steps


class ObjectStore(Store):
    """An object store. Writing an object is atomic, so that no temporary name is needed.

    Raises:
        StorageError: fsspec does not know the scheme, or the package for it is not installed.
    """

    renames = False

    def __init__(self, location: Location) -> None:
        self._base = f"{location.scheme}://{location.authority}"
        try:
            self._files: Any = fsspec.url_to_fs(f"{self._base}/")[0]
        except ImportError as error:
            raise StorageError(f"{location}: {error}") from error
        except ValueError as error:
            raise StorageError(
                f"{location}: no storage has the scheme {location.scheme!r}. Use hdfs://, file:// or "
                "one that fsspec knows, such as s3://"
            ) from error
        except OSError as error:  # some stores log in here
            raise StorageError(f"{location}: the storage can't be opened: {error}") from error

    def _at(self, path: str) -> str:
        return self._files._strip_protocol(self._base + path)

    def kind(self, path: str) -> Kind | None:
        self._files.invalidate_cache()
        try:
            return "folder" if self._files.info(self._at(path))["type"] == "directory" else "file"
        except (FileNotFoundError, NotADirectoryError):
            return None

    def entries(self, path: str) -> dict[str, Kind]:
        self._files.invalidate_cache()
        at = self._at(path).rstrip("/")
        found: dict[str, Kind] = {}
        for entry in self._files.ls(at, detail=True):
            name = entry["name"].rstrip("/")
            if name != at:  # some stores have an empty object that stands for the folder
                found[name.rpartition("/")[2]] = "folder" if entry["type"] == "directory" else "file"
            elif entry["type"] == "file" and self.kind(path) == "file":
                raise NotADirectoryError(path)
        return found

    def modified(self, path: str) -> dict[str, float]:
        """See `Store.modified`: the time of the newest object below each name, from one listing (a request a thousand objects)."""
        self._files.invalidate_cache()
        at = self._at(path).rstrip("/")
        times: dict[str, float] = {}
        for name, entry in self._files.find(at, detail=True).items():
            time = _modified(entry)
            if time is not None:
                below = name.removeprefix(at).strip("/").partition("/")[0]
                times[below] = max(time, times.get(below, time))
        return times

    def size(self, path: str) -> int:
        return self._files.info(self._at(path))["size"]

    def read(self, path: str) -> bytes:
        return self._files.cat_file(self._at(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        with self._files.open(self._at(path), "rb") as file:
            while chunk := file.read(4 << 20):
                yield chunk

    def fetch(self, path: str, local: Path) -> None:
        self._files.get_file(self._at(path), str(local))

    def write(self, path: str, source: bytes | Path) -> None:
        if self.kind(path) == "folder":
            raise IsADirectoryError(path)
        self._make_parents(path)
        if isinstance(source, bytes):
            self._files.pipe_file(self._at(path), source)
        else:
            self._files.put_file(str(source), self._at(path))

    def claim(self, path: str, data: bytes) -> bool:
        if self.kind(path) is not None:
            return False
        self._make_parents(path)
        try:
            with _claiming:
                self._create(self._at(path), data)
        except FileExistsError:
            return False
        return True

    def _create(self, at: str, data: bytes) -> None:
        if type(self._files).pipe_file is not AbstractFileSystem.pipe_file:
            return self._files.pipe_file(at, data, mode="create")
        with self._files.open(at, "xb") as target:  # fsspec's own fallback isn't atomic
            target.write(data)

    def copy(self, source: str, target: str) -> None:
        self._make_parents(target)
        self._files.cp_file(self._at(source), self._at(target))

    def remove(self, path: str) -> None:
        self._files.rm(self._at(path), recursive=True)

    def _make_parents(self, path: str) -> None:
        """Create parent folders, for schemes that have them; never a bucket, as a misspelt one must be an error."""
        parent, _, _ = self._at(path).rpartition("/")
        if self._files.exists(parent.partition("/")[0] or "/"):
            self._files.makedirs(parent or "/", exist_ok=True)

    def transient(self, error: Exception) -> bool:
        return isinstance(error, (ConnectionError, TimeoutError))

    def explain(self, error: Exception) -> Explanation | None:
        if isinstance(error, OSError):
            return explain_os_error(error)
        # Each store's library has its own exceptions (credentials, quotas), which aren't known here.
        return Explanation(
            f"{type(error).__name__}: {error}", "Check the store's credentials and settings where this program runs."
        )


def _modified(entry: dict[str, Any]) -> float | None:
    """Return when an object was written, in seconds since 1970, from the key that the store's library uses; None if unknown."""
    for key in ("LastModified", "last_modified", "mtime", "updated", "created"):  # s3fs, adlfs, local and gcsfs, memory
        value = entry.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.timestamp()
        if value is not None:
            return float(value)
    return None
