"""HDFS, over WebHDFS by HdfsCLI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Sequence, TypeVar
from urllib.parse import urlsplit

import requests
from hdfs import HdfsError, InsecureClient

from sparktrain.storage import retries
from sparktrain.storage.store import Explanation, Kind, Store, part_name

Result = TypeVar("Result")

_CHUNK = 1 << 20
_TIMEOUT = (10, 120)   # seconds to connect and, each time, to wait for an answer
# What a name node says that starts or hands over, and a DataNode that has lost its name node.
_PASSING = {"RetriableException", "StandbyException", "SafeModeException", "ConnectException", "EOFException",
            "SocketException", "SocketTimeoutException", "NoRouteToHostException"}
_PASSING_WORDS = ("Failed to find datanode", "Block could not be located", "could only be written to 0 of",
                  "Failed on local exception")
_ABSENT = {"FileNotFoundException", "ParentNotDirectoryException"}


class _Client(InsecureClient):
    """HdfsCLI's client, with paths as they are and with the rename that can be told what to do with what is there."""

    answered = False   # by a name node, whatever it said

    def _request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        response = super()._request(method, url, **kwargs)
        self.answered = True
        return response

    def resolve(self, hdfs_path: str) -> str:
        return hdfs_path   # HdfsCLI would take a `#LATEST` in a name for a wish

    def move(self, source: str, target: str, *, replace: bool) -> None:
        """HDFS's rename2: atomic, never into an existing folder; HdfsCLI's own rename is the older one."""
        answer = self._rename(source, destination=target, renameoptions="OVERWRITE" if replace else "NONE")
        if answer.content and answer.json().get("boolean") is False:   # a gateway that knows no options
            raise HdfsError(f"Unable to rename {source} to {target}.")


class HdfsStore(Store):
    """One HDFS, seen by one user.

    Args:
        addresses: WebHDFS addresses of its name nodes.
        user: as whom to speak to it.
    """

    renames = True

    def __init__(self, addresses: Sequence[str], user: str) -> None:
        self._addresses = tuple(addresses)
        self._user = user
        session = requests.Session()
        # Hadoop's own clients know of no HTTP proxy, and one for the internet's sake can't reach the cluster.
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._client = _Client(";".join(addresses), user=user, timeout=_TIMEOUT, session=session)

    def kind(self, path: str) -> Kind | None:
        # Not strict=False: HdfsCLI takes every refusal for an absence.
        try:
            status = self._client.status(path)
        except HdfsError as error:
            if error.exception not in _ABSENT:
                raise
            return None
        return _kind(status)

    def entries(self, path: str) -> dict[str, Kind]:
        return {name: _kind(status) for name, status in self._client.list(path, status=True)}

    def size(self, path: str) -> int:
        return self._client.status(path)["length"]

    def read(self, path: str) -> bytes:
        with self._client.read(path, chunk_size=_CHUNK) as chunks:
            return b"".join(chunks)

    def fetch(self, path: str, local: Path) -> None:
        with self._client.read(path, chunk_size=_CHUNK) as chunks, open(local, "wb") as target:
            target.writelines(chunks)

    def write(self, path: str, source: bytes | Path) -> None:
        # A DataNode closes the file of a writer that dies as if it were complete: so under another name first.
        part = self._part(path, source)
        try:
            self._client.move(part, path, replace=True)
        except HdfsError:
            self._client.delete(part)
            raise

    def claim(self, path: str, data: bytes) -> bool:
        if self._again(lambda: self.kind(path)) is not None:
            return False
        part = self._again(lambda: self._part(path, data))
        try:
            self._move(part, path)
        except HdfsError as error:
            self._client.delete(part)
            if self._taken(path, error):
                return False
            raise
        return True

    def remove(self, path: str) -> None:
        self._client.delete(path, recursive=True)

    def move(self, source: str, target: str) -> None:
        self._again(lambda: self._client.makedirs(os.path.dirname(target)))
        try:
            self._move(source, target)
        except HdfsError as error:
            if self._taken(target, error):
                raise FileExistsError(target) from error
            raise

    def _taken(self, path: str, error: HdfsError) -> bool:
        """Whether a rename was refused because something is there; HDFS has several words for that."""
        return error.exception in (None, "FileAlreadyExistsException", "IOException") and self._again(
            lambda: self.kind(path)) is not None

    def _part(self, path: str, source: bytes | Path) -> str:
        part = os.path.join(os.path.dirname(path), part_name())
        if isinstance(source, bytes):
            self._client.write(part, data=source, overwrite=True)
        else:
            with open(source, "rb") as reader:
                self._client.write(part, data=reader, overwrite=True)
        return part

    def _move(self, source: str, target: str) -> None:
        tries = 0

        def once() -> None:
            nonlocal tries
            tries += 1
            # The answer to an earlier try may have been lost, but not the try.
            if tries == 1 or self.kind(source) is not None or self.kind(target) is None:
                self._client.move(source, target, replace=False)

        self._again(once)

    def _again(self, call: Callable[[], Result]) -> Result:
        return retries.retry(call, self.transient, self.delays)

    def transient(self, error: Exception) -> bool:
        if isinstance(error, requests.exceptions.SSLError):
            return False
        if isinstance(error, HdfsError):
            return error.exception in _PASSING or any(words in str(error) for words in _PASSING_WORDS)
        return isinstance(error, (requests.ConnectionError, requests.Timeout,
                                  requests.exceptions.ChunkedEncodingError))

    def delays(self) -> Sequence[float]:
        return retries.KNOWN if self._client.answered else retries.UNKNOWN

    def explain(self, error: Exception) -> Explanation | None:
        where = " and ".join(self._addresses)
        match error:
            case HdfsError():
                return self._explain_refusal(error)
            case requests.exceptions.SSLError():
                return Explanation(f"the certificate of {where} is not trusted ({error})",
                                   "Set REQUESTS_CA_BUNDLE to the file of the cluster's certificates.")
            case requests.exceptions.JSONDecodeError() | KeyError():
                return Explanation(f"what answers at {where} is not WebHDFS",
                                   "Check dfs.namenode.http-address in Hadoop's configuration (HADOOP_CONF_DIR).")
            case requests.exceptions.ChunkedEncodingError():
                return Explanation(f"the connection broke in the middle of a file ({_inmost(error)})",
                                   "Check the health of HDFS and the network, and try again.")
            case requests.RequestException():
                return self._explain_silence(error, where)
            case FileExistsError():
                return Explanation("something is there already", "Remove it, or choose another name.")
            case OSError():   # of the local side
                return Explanation(str(error), "Check the file on this machine.")
            case _:
                return None

    def _explain_silence(self, error: requests.RequestException, where: str) -> Explanation:
        asked = urlsplit(error.request.url) if error.request is not None and error.request.url else None
        if asked is not None and f"{asked.scheme}://{asked.netloc}" not in self._addresses:
            return Explanation(f"the DataNode at {asked.netloc} does not answer ({_inmost(error)})",
                               "Check that its name and port can be reached from this machine: "
                               "WebHDFS reads and writes through DataNodes.")
        return Explanation(f"no NameNode answers at {where} ({_inmost(error)})",
                           "Check that HDFS is up, and that dfs.namenode.http-address in Hadoop's configuration "
                           "(HADOOP_CONF_DIR) is the address of its web server.")

    def _explain_refusal(self, error: HdfsError) -> Explanation:
        said = error.message.decode(errors="replace") if isinstance(error.message, bytes) else str(error.message)
        said = " ".join(said.split())[:400]
        match error.exception:
            case "FileNotFoundException" if "Path is not a file" in said:
                return Explanation("it is a folder, not a file", "Check the name.")
            case "FileNotFoundException":
                return Explanation("there is no such file or folder", "Check the name.", missing=True)
            case "AccessControlException" | "SecurityException":
                return Explanation(f"no permission ({said})", f"This program speaks to HDFS as {self._user!r}: set "
                                   "HADOOP_USER_NAME, or have the permission changed (hdfs dfs -chown, -chmod).")
            case "SafeModeException":
                return Explanation("the NameNode is in safe mode, in which nothing can be written",
                                   "Wait until it has left it; see `hdfs dfsadmin -safemode get`.")
            case "StandbyException":
                return Explanation("no NameNode is active", "Check the high availability of HDFS.")
            case "ParentNotDirectoryException":
                return Explanation(f"a file is where a folder is needed ({said})",
                                   "Remove that file, or choose another folder.", missing=True)
            case "FileAlreadyExistsException":
                return Explanation(f"something else is there already ({said})", "Remove it, or choose another name.")
            case "NSQuotaExceededException" | "DSQuotaExceededException" | "QuotaByStorageTypeExceededException":
                return Explanation(f"a quota is used up ({said})", "Remove old runs, or have the quota raised.")
        if said.startswith("Authentication failure"):
            return Explanation(f"HDFS does not take {self._user!r} at its word: it asks for Kerberos or a token",
                               "Use a cluster with simple authentication, or write to another storage.")
        if "must both be directories" in said:
            return Explanation("a folder is where a file is needed", "Remove that folder, or choose another name.")
        if error.exception is None and "not a directory" in said:
            return Explanation("a file is where a folder is needed", "Choose another folder.", missing=True)
        return Explanation(f"{error.exception or 'HDFS'}: {said}", "Check the health of HDFS and its NameNode's log.")


def _kind(status: dict[str, Any]) -> Kind:
    return "folder" if status["type"] == "DIRECTORY" else "file"


def _inmost(error: BaseException) -> str:
    """The end of a chain of exceptions: urllib3 wraps what the network said three times."""
    inner = error
    while True:
        nested = [arg for arg in inner.args if isinstance(arg, BaseException)]
        following = getattr(inner, "reason", None) or (nested[0] if nested else None)
        if not isinstance(following, BaseException):
            return str(inner).rpartition(": ")[2] or type(inner).__name__
        inner = following
