"""HDFS by WebHDFS, with the library HdfsCLI."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from hdfs import HdfsError, InsecureClient

from sparktrain.storage.hdfs import ABSENT, CHUNK, HdfsStore, explain_refusal, passes
from sparktrain.storage.store import Explanation, Kind

_TIMEOUT = (10, 120)  # seconds to connect and, each time, to wait for an answer


class _Client(InsecureClient):
    """HdfsCLI's client with literal paths, and with HDFS's newer rename, which has options."""

    answered = False  # whether a name node has ever answered

    def _request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        response = super()._request(method, url, **kwargs)
        self.answered = True
        return response

    def resolve(self, hdfs_path: str) -> str:
        return hdfs_path  # HdfsCLI would interpret a `#LATEST` in a name

    def move(self, source: str, target: str, *, replace: bool) -> None:
        """Rename with HDFS's rename2: atomic, never into an existing folder; HdfsCLI itself uses the older rename."""
        answer = self._rename(source, destination=target, renameoptions="OVERWRITE" if replace else "NONE")
        if answer.content and answer.json().get("boolean") is False:  # a gateway that ignores options
            raise HdfsError(f"Unable to rename {source} to {target}.")


class WebHdfsStore(HdfsStore):
    """An HDFS by the web servers of its name nodes.

    Args:
        addresses: the WebHDFS addresses of the name nodes.
        user: the user to access it as.
    """

    refusals = (HdfsError,)

    def __init__(self, addresses: Sequence[str], user: str) -> None:
        self._addresses = tuple(addresses)
        self._user = user
        session = requests.Session()
        # Hadoop's own clients use no HTTP proxy, and a proxy for the internet can't reach the cluster.
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._client = _Client(";".join(addresses), user=user, timeout=_TIMEOUT, session=session)

    def kind(self, path: str) -> Kind | None:
        # Not with strict=False, which treats every refusal as a missing file.
        try:
            status = self._client.status(path)
        except HdfsError as error:
            if error.exception not in ABSENT:
                raise
            return None
        return _kind(status)

    def entries(self, path: str) -> dict[str, Kind]:
        return {name: _kind(status) for name, status in self._client.list(path, status=True)}

    def modified(self, path: str) -> dict[str, float]:
        return {name: status["modificationTime"] / 1000 for name, status in self._client.list(path, status=True)}

    def size(self, path: str) -> int:
        return self._client.status(path)["length"]

    def read(self, path: str) -> bytes:
        return b"".join(self.chunks(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        with self._client.read(path, chunk_size=CHUNK) as chunks:
            yield from chunks

    def put(self, path: str, source: bytes | Path) -> None:
        if isinstance(source, bytes):
            self._client.write(path, data=source, overwrite=True)
            return
        with open(source, "rb") as reader:
            self._client.write(path, data=reader, overwrite=True)

    def rename(self, source: str, target: str, *, replace: bool) -> None:
        self._client.move(source, target, replace=replace)

    def make_folder(self, path: str) -> None:
        self._client.makedirs(path)

    def remove(self, path: str) -> None:
        self._client.delete(path, recursive=True)

    def may_be_taken(self, error: HdfsError) -> bool:
        return error.exception in (None, "FileAlreadyExistsException", "IOException")  # HDFS has several errors for that

    def transient(self, error: Exception) -> bool:
        if isinstance(error, requests.exceptions.SSLError):
            return False
        if isinstance(error, HdfsError):
            return passes(error.exception, str(error))
        return isinstance(error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError))

    @property
    def answered(self) -> bool:
        return self._client.answered

    def explain(self, error: Exception) -> Explanation | None:
        where = " and ".join(self._addresses)
        match error:
            case HdfsError():
                message = error.message.decode(errors="replace") if isinstance(error.message, bytes) else str(error.message)
                return explain_refusal(error.exception, message, self._user)
            case requests.exceptions.SSLError():
                return Explanation(
                    f"the certificate of {where} is not trusted ({error})",
                    "Set REQUESTS_CA_BUNDLE to the file of the cluster's certificates.",
                )
            case requests.exceptions.JSONDecodeError() | KeyError():
                return Explanation(
                    f"what answers at {where} is not WebHDFS",
                    "Check dfs.namenode.http-address in Hadoop's configuration (HADOOP_CONF_DIR).",
                )
            case requests.exceptions.ChunkedEncodingError():
                return Explanation(
                    f"the connection broke in the middle of a file ({_inmost(error)})",
                    "Check the health of HDFS and the network, and try again.",
                )
            case requests.RequestException():
                return self._explain_silence(error, where)
            case FileExistsError():
                return Explanation("something is there already", "Remove it, or choose another name.")
            case OSError():  # an error of this machine
                return Explanation(str(error), "Check the file on this machine.")
            case _:
                return None

    def _explain_silence(self, error: requests.RequestException, where: str) -> Explanation:
        asked = urlsplit(str(error.request.url)) if error.request is not None and error.request.url else None
        if asked is not None and f"{asked.scheme}://{asked.netloc}" not in self._addresses:
            return Explanation(
                f"the DataNode at {asked.netloc} does not answer ({_inmost(error)})",
                "Check that its name and port can be reached from this machine: WebHDFS reads and writes through DataNodes.",
            )
        return Explanation(
            f"no NameNode answers at {where} ({_inmost(error)})",
            "Check that HDFS is up, and that dfs.namenode.http-address in Hadoop's configuration "
            "(HADOOP_CONF_DIR) is the address of its web server.",
        )


def _kind(status: dict[str, Any]) -> Kind:
    return "folder" if status["type"] == "DIRECTORY" else "file"


def _inmost(error: BaseException) -> str:
    """Return the message of the innermost exception: urllib3 wraps a network error three times."""
    inner = error
    while True:
        nested = [arg for arg in inner.args if isinstance(arg, BaseException)]
        following = getattr(inner, "reason", None) or (nested[0] if nested else None)
        if not isinstance(following, BaseException):
            return str(inner).rpartition(": ")[2] or type(inner).__name__
        inner = following
