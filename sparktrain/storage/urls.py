"""Parses URLs of folders and joins names to them, without accessing any store."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass

from sparktrain.storage.errors import StorageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/.*)", re.DOTALL)


@dataclass(frozen=True)
class Location:
    """A place on a storage. Nothing in it is percent-encoded, as in Hadoop's paths.

    Attributes:
        scheme: in lower case, such as `hdfs` or `file`.
        authority: the host and port, name service or bucket; empty if the URL names none.
        path: absolute and normalised: without empty, `.` or `..` segments, and without a slash at the end except for the root.
    """

    scheme: str
    authority: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    def join(self, *names: str) -> Location:
        """Return the location of `names` under this one; a name may have several segments (`logs/train`).

        Raises:
            ValueError: a name would lead out of this location, or is no name.
        """
        for name in names:
            if "\0" in name or any(segment in ("", ".", "..") for segment in name.split("/")):
                raise ValueError(
                    f"{name!r} names nothing under {self}: expected a name such as 'model.keras' or "
                    "'logs/train', without '..' and without a slash at its start or end"
                )
        return Location(self.scheme, self.authority, posixpath.join(self.path, *names))

    @property
    def parent(self) -> Location:
        """The location without its last segment."""
        return Location(self.scheme, self.authority, posixpath.dirname(self.path))

    @property
    def name(self) -> str:
        """The last segment of the path; empty for the root."""
        return posixpath.basename(self.path)


def parse(url: str | os.PathLike[str]) -> Location:
    """Return the location of a URL; a path without a scheme, absolute or relative to the current folder, is a local one.

    Raises:
        StorageError: it is no URL of a folder.
    """
    url = os.fspath(url)
    if not url or "\0" in url:
        raise StorageError(
            f"{url!r} is not the URL of a folder: expected one such as hdfs:///models/late-flights, file:///tmp/models or a path"
        )
    match = _SCHEME.fullmatch(url)
    if match is None:
        return Location("file", "", _normal(os.path.abspath(url)))
    scheme, rest = match[1].lower(), match[2]
    authority = ""
    if rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
    if scheme == "file" and authority not in ("", "localhost"):
        raise StorageError(
            f"{url}: a file URL has three slashes; this one names a host, {authority!r}. "
            f"Write file:///{authority}{_normal(rest)} for a folder on this machine"
        )
    return Location(scheme, "" if scheme == "file" else authority, _normal(rest))


def _normal(path: str) -> str:
    return "/" + posixpath.normpath("/" + path).lstrip("/")
