"""A folder on any storage, through which the rest of sparktrain reads and writes."""

from __future__ import annotations

import builtins
import hashlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sparktrain.storage.errors import NotFound, StorageError
from sparktrain.storage.hadoop import (
    asks_for_kerberos,
    hadoop_settings,
    user_name,
    web_addresses,
    webhdfs_is_closed,
    with_authority,
)
from sparktrain.storage.local import LocalStore
from sparktrain.storage.objects import ObjectStore
from sparktrain.storage.retries import PERSISTENT, retry
from sparktrain.storage.store import Kind, Store, is_part, part_name
from sparktrain.storage.urls import Location, parse

Result = TypeVar("Result")
_log = logging.getLogger(__name__)
SUMMARY = "summary.json"  # written last: a published folder that has it is complete
_CLAIM = ".sparktrain-claim"  # in a folder that is being copied to its final place


def open_folder(url: str | os.PathLike[str], hadoop: Mapping[str, str] = {}) -> Folder:
    """Return the folder at a URL, which need not exist yet; the storage isn't accessed before the folder is used.

    Args:
        url: `hdfs://HOST:PORT/x`, `hdfs://NAMESERVICE/x`, `hdfs:///x` (on fs.defaultFS), `file:///x`, a local path
            (absolute or relative to the current folder), or a URL with another scheme that fsspec knows.
        hadoop: the settings from `hadoop_settings`; if empty, they are read here.

    Raises:
        StorageError: the URL's scheme, host or name service is unknown here, or the package that reaches it isn't installed.
    """
    location = parse(url)
    if location.scheme == "file":
        return Folder(LocalStore(), location)
    if location.scheme != "hdfs":
        return Folder(ObjectStore(location), location)
    settings = hadoop or hadoop_settings()
    location = with_authority(location, settings)
    # Kerberos over WebHDFS would need a library that has to be compiled.
    if webhdfs_is_closed(settings) or asks_for_kerberos(settings):
        try:
            from sparktrain.storage.native import NativeHdfsStore
        except ModuleNotFoundError as error:
            raise StorageError(
                f"{url}: an HDFS with Kerberos, or without WebHDFS, is reached by hdfs-native, which {sys.executable} on "
                f"{platform.node()} doesn't have: pip install 'sparktrain[kerberos]' there"
            ) from error
        _log.debug("%s is reached by hdfs-native", location)
        return Folder(NativeHdfsStore(f"hdfs://{location.authority}", settings, user_name()), location)
    from sparktrain.storage.webhdfs import WebHdfsStore  # its HTTP library is slow to import

    _log.debug("%s is reached by WebHDFS, at %s", location, web_addresses(location, settings))
    return Folder(WebHdfsStore(web_addresses(location, settings), user_name()), location)


class Folder:
    """A folder on a storage. Names are relative to it and may have several segments (`logs/train`).

    Every method raises StorageError (NotFound if something is missing) with the URL, what failed and what to do, and
    ValueError for a name that leads out of the folder. After a broken connection it retries: for 4 seconds with a store
    that has never answered, for a minute with one that has.
    """

    def __init__(self, store: Store, location: Location, delays: Callable[[], Sequence[float]] | None = None) -> None:
        self._store = store
        self._location = location
        self._delays = delays or store.delays

    @property
    def url(self) -> str:
        """The folder's absolute URL, with scheme and host, which means the same to Spark and other machines."""
        return str(self._location)

    def __repr__(self) -> str:
        return f"Folder({self.url!r})"

    def join(self, *names: str) -> Folder:
        """Return a folder in this one."""
        return Folder(self._store, self._location.join(*names), self._delays)

    def at_once(self) -> Folder:
        """Return the same folder without retries, for callers that can't wait."""
        return Folder(self._store, self._location, lambda: ())

    def persistent(self) -> Folder:
        """Return the same folder with retries for five minutes, to write what took hours to make."""
        return Folder(self._store, self._location, lambda: PERSISTENT)

    def exists(self, name: str = "") -> bool:
        """Return whether a file or folder exists."""
        return self._ask("look for", name, self._store.kind) is not None

    def list(self) -> list[str]:
        """Return the sorted names of the files and folders in it, without files that are still being written."""
        return sorted(name for name in self._ask("list", "", self._store.entries) if not _ours(name))

    def files(self) -> builtins.list[str]:  # `list` is the method above
        """Return the sorted names of all files in it and its subfolders, without those still being written.

        Returns:
            The names; `[""]` if it is a file itself.

        Raises:
            NotFound: it doesn't exist.
        """
        return sorted(self._files(""))

    def modified(self) -> dict[str, float]:
        """Return when each file and folder in it was last modified, in seconds since 1970, as far as the store knows."""
        return self._ask("list", "", self._store.modified)

    def size(self, name: str = "") -> int:
        """Return the size of a file, or of all files in a folder, in bytes."""
        return sum(self._ask("measure", file, self._store.size) for file in self._files(name))

    def read_bytes(self, name: str) -> bytes:
        """Return a file's content."""
        return self._ask("read", name, self._store.read)

    def read_text(self, name: str) -> str:
        """Return a file's content as text (UTF-8)."""
        return self.read_bytes(name).decode()

    def sha256(self, name: str) -> tuple[int, str]:
        """Return the size of a file in bytes and the SHA-256 of its content in hexadecimal, as read from the storage."""

        def read(path: str) -> tuple[int, str]:
            size, digest = 0, hashlib.sha256()
            for chunk in self._store.chunks(path):
                size += len(chunk)
                digest.update(chunk)
            return size, digest.hexdigest()

        return self._ask("read", name, read)

    def write_bytes(self, name: str, data: bytes) -> None:
        """Create or replace a file atomically: readers see its old or its new content, never a part."""
        self._ask("write", name, lambda path: self._store.write(path, data))

    def write_text(self, name: str, text: str) -> None:
        """Create or replace a text file (UTF-8) atomically."""
        self.write_bytes(name, text.encode())

    def upload(self, local_path: str | os.PathLike[str], name: str) -> None:
        """Upload a local file, or all files of a local folder, each of them atomically.

        Existing files of the same names are replaced, others stay; empty folders are left out.
        """
        local = Path(local_path)
        if not local.exists():
            raise NotFound(f"{self._url(name)}: nothing to upload, {local} does not exist on this machine")
        if local.is_file():
            return self._ask("write", name, lambda path: self._store.write(path, local))
        for file in sorted(path for path in local.rglob("*") if path.is_file()):
            self.upload(file, f"{name}/{file.relative_to(local).as_posix()}")

    def download(self, name: str, local_path: str | os.PathLike[str]) -> None:
        """Download a file, or all files of a folder, to `local_path` itself, each of them atomically."""
        local = Path(local_path)
        files = list(self._files(name))
        for file in files:
            target = local / file[len(name) :].lstrip("/")
            part = target.parent / part_name()
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._ask("read", file, lambda path: self._store.fetch(path, part))
                os.replace(part, target)
            except OSError as error:
                raise StorageError(f"{self._url(file)}: can't be downloaded to {target}: {error}") from error
            finally:
                part.unlink(missing_ok=True)
        if not files:
            local.mkdir(parents=True, exist_ok=True)

    def local_path(self, name: str) -> Path | None:
        """Return the path of a file of it in this machine's file system; None if the storage is another one."""
        return Path(self._location.join(name).path) if isinstance(self._store, LocalStore) else None

    def remove(self, name: str = "", recursive: bool = False) -> None:
        """Remove a file, an empty folder or, with `recursive`, a folder with everything in it, if it exists."""
        kind = self._ask("look for", name, self._store.kind)
        if kind == "folder" and not recursive and self._ask("list", name, self._store.entries):
            raise StorageError(
                f"{self._url(name)}: can't be removed: the folder is not empty. Pass recursive=True to remove all that is in it"
            )
        if kind is not None:
            try:
                self._ask("remove", name, self._store.remove)
            except NotFound:
                pass  # another process has just removed it

    def claim(self, name: str, data: bytes) -> bool:
        """Create a file if it doesn't exist, and return whether this call did; of callers on all machines exactly one does."""
        return self._ask("claim", name, lambda path: self._store.claim(path, data), again=False)

    def publish(self, staged: str, final: str, summary: str = SUMMARY) -> None:
        """Move a complete folder to its final name, atomically and without replacing anything.

        If the store has no atomic rename, the files are copied, the summary last: a folder that has it is complete. An
        interrupted copy is continued when the same `staged` is published again.

        Args:
            staged: the name of a folder that has all its files, including its summary.
            final: the folder's final name. If two different folders are published under it, one fails.
            summary: the name of its summary, in it.

        Raises:
            NotFound: the folder has no summary.
            StorageError: the final name exists already, or the storage fails.
        """
        if not self.exists(f"{staged}/{summary}"):
            raise NotFound(f"{self._url(staged)}: can't be published: it has no {summary}, so it is not complete")
        for leftover in list(self._files(staged, hidden=True)):  # left by writers that were killed
            self._ask("remove", leftover, self._store.remove)
        taken = StorageError(
            f"{self._url(final)}: can't be published from {self._url(staged)}: something is there "
            "already, and a finished run is never replaced. Choose another run id, or remove it"
        )
        if not self._store.renames:
            return self._copy(staged, final, taken, summary)
        source = self._location.join(staged).path
        try:
            self._ask("publish", final, lambda path: self._store.move(source, path), again=False, passing=FileExistsError)
        except FileExistsError as error:
            raise taken from error

    def _copy(self, staged: str, final: str, taken: StorageError, summary: str) -> None:
        claim, last = f"{final}/{_CLAIM}", f"{final}/{summary}"
        token = self._url(staged).encode()
        if self.exists(final) and not self.exists(claim):
            raise taken
        if not self.claim(claim, token) and self.read_bytes(claim) != token:
            raise taken
        if self.exists(last):  # published since the check for the final name
            self.remove(claim)
            raise taken
        names = sorted((name[len(staged) + 1 :] for name in self._files(staged)), key=lambda name: name == summary)
        for name in names:
            source = self._location.join(staged, name).path
            self._ask("write", f"{final}/{name}", lambda path: self._store.copy(source, path))
        self.remove(claim)
        self.remove(staged, recursive=True)

    def _files(self, name: str, hidden: bool = False) -> Iterator[str]:
        """Yield the names of all files at and under `name`; with `hidden`, only of unfinished ones."""
        kind = self._ask("look for", name, self._store.kind)
        if kind is None:
            raise NotFound(f"{self._url(name)}: there is no such file or folder. Check the name.")
        yield from self._under(name, kind, hidden)

    def _under(self, name: str, kind: Kind, hidden: bool) -> Iterator[str]:
        if kind == "file":
            if _ours(name.rpartition("/")[2]) == hidden:
                yield name
            return
        for child, its_kind in sorted(self._ask("list", name, self._store.entries).items()):
            yield from self._under(f"{name}/{child}" if name else child, its_kind, hidden)

    def _url(self, name: str) -> str:
        return str(self._location.join(name) if name else self._location)

    def _ask(
        self,
        action: str,
        name: str,
        call: Callable[[str], Result],
        again: bool = True,
        passing: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> Result:
        """Call the store with the path of `name`, retry transient errors, and raise others as StorageError."""
        path = (self._location.join(name) if name else self._location).path
        try:
            if not again:
                return call(path)
            return retry(lambda: call(path), self._store.transient, self._delays)
        except passing:
            raise
        except Exception as error:
            explanation = self._store.explain(error)
            if explanation is None:
                raise
            kind = NotFound if explanation.missing else StorageError
            failure = kind(f"{self._url(name)}: can't {action} it: {explanation.reason}. {explanation.advice}")
            failure.transient = self._store.transient(error)
            raise failure from error


def _ours(name: str) -> bool:
    return name == _CLAIM or is_part(name)
