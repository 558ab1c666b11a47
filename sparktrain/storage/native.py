"""HDFS by its native protocol (hdfs-native), for clusters with Kerberos or without WebHDFS."""

from __future__ import annotations

import os
import posixpath
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from hdfs_native import Client, WriteOptions

from sparktrain.known_messages import hdfs as known
from sparktrain.storage.errors import StorageError
from sparktrain.storage.hadoop import asks_for_kerberos
from sparktrain.storage.hdfs import ABSENT, CHUNK, HdfsStore, explain_refusal, passes
from sparktrain.storage.store import Explanation, Kind, explain_os_error

Result = TypeVar("Result")

# A few quick tries between the name nodes; Folder itself waits for one that is restarting.
_FAILOVER = {
    "dfs.client.failover.max.attempts": "4",
    "dfs.client.failover.sleep.base.millis": "50",
    "dfs.client.failover.sleep.max.millis": "200",
}
# The exceptions that hdfs-native translates some of a name node's into; the others' names are in its RuntimeError.
_TRANSLATED: dict[type[Exception], str] = {
    FileNotFoundError: "FileNotFoundException",
    FileExistsError: "FileAlreadyExistsException",
    PermissionError: "AccessControlException",
}


class NativeHdfsStore(HdfsStore):
    """An HDFS by its name nodes' RPC and its DataNodes' transfer protocol.

    With Kerberos it uses the tokens in the file that HADOOP_TOKEN_FILE_LOCATION names (YARN sets it in containers), else a
    ticket from KRB5CCNAME or the keytab in KRB5_CLIENT_KTNAME.

    Args:
        url: the URL of the file system: `hdfs://HOST:PORT` or `hdfs://NAMESERVICE`.
        settings: the settings from `hadoop_settings`.
        user: the user to access it as.

    Raises:
        StorageError: Hadoop's configuration doesn't have the addresses of the name nodes.
    """

    refusals = (*_TRANSLATED, RuntimeError)
    answered = False

    def __init__(self, url: str, settings: Mapping[str, str], user: str) -> None:
        os.environ.setdefault("HADOOP_USER_NAME", user)  # the only way to set hdfs-native's user
        self._url, self._user = url, user
        try:
            self._client = Client(_as_tokens_have_it(url, settings), config={**settings, **_FAILOVER})
        except Exception as error:
            raise StorageError(
                f"{url}: hdfs-native can't use Hadoop's configuration: {error}. Expected "
                "dfs.nameservices, dfs.ha.namenodes.* and dfs.namenode.rpc-address.*"
            ) from error

    def kind(self, path: str) -> Kind | None:
        try:
            status = self._ask(lambda: self._client.get_file_info(path))
        except self.refusals as error:
            if _refusal(error)[0] in ABSENT:
                return None
            raise
        return "folder" if status.isdir else "file"

    def entries(self, path: str) -> dict[str, Kind]:
        listed = self._ask(lambda: list(self._client.list_status(path)))
        if any(status.path == path and not status.isdir for status in listed):
            raise NotADirectoryError(path)
        return {posixpath.basename(status.path): "folder" if status.isdir else "file" for status in listed}

    def modified(self, path: str) -> dict[str, float]:
        listed = self._ask(lambda: list(self._client.list_status(path)))
        return {posixpath.basename(status.path): status.modification_time / 1000 for status in listed}

    def size(self, path: str) -> int:
        return self._ask(lambda: self._client.get_file_info(path).length)

    def read(self, path: str) -> bytes:
        return self._ask(lambda: self._client.read(path).read())

    def chunks(self, path: str) -> Iterator[bytes]:
        pieces = iter(self._ask(lambda: self._client.read(path)))
        while (piece := self._ask(lambda: next(pieces, None))) is not None:
            yield piece

    def put(self, path: str, source: bytes | Path) -> None:
        def write() -> None:
            with self._client.create(path, WriteOptions(overwrite=True, create_parent=True)) as writer:
                if isinstance(source, bytes):
                    writer.write(source)
                    return
                with open(source, "rb") as reader:
                    while chunk := reader.read(CHUNK):
                        writer.write(chunk)

        self._ask(write)

    def rename(self, source: str, target: str, *, replace: bool) -> None:
        self._ask(lambda: self._client.rename(source, target, overwrite=replace))

    def make_folder(self, path: str) -> None:
        self._ask(lambda: self._client.mkdirs(path, create_parent=True))

    def remove(self, path: str) -> None:
        self._ask(lambda: self._client.delete(path, recursive=True))

    def may_be_taken(self, error: Exception) -> bool:
        return _refusal(error)[0] in ("FileAlreadyExistsException", "IOException")

    def transient(self, error: Exception) -> bool:
        if isinstance(error, self.refusals):
            exception, message = _refusal(error)
            if exception is None:  # an error of the network, a DataNode or this side
                return not (known.NO_TICKET.find(message) or known.NO_MECHANISM.find(message))
            return passes(exception, message)
        return isinstance(error, OSError) and not isinstance(error, (NotADirectoryError, IsADirectoryError))

    def explain(self, error: Exception) -> Explanation | None:
        match error:
            case FileNotFoundError() | FileExistsError() | PermissionError() | RuntimeError():
                return explain_refusal(*_refusal(error), self._user)
            case NotADirectoryError():
                return explain_os_error(error)
            case OSError():
                return Explanation(
                    f"no NameNode answers at {self._url} ({error})",
                    "Check that HDFS is up, and that fs.defaultFS or dfs.namenode.rpc-address in Hadoop's "
                    "configuration (HADOOP_CONF_DIR) is the address of its RPC server.",
                )
            case _:
                return None

    def _ask(self, call: Callable[[], Result]) -> Result:
        try:
            result = call()
        except self.refusals:
            self.answered = True
            raise
        self.answered = True
        return result


def _as_tokens_have_it(url: str, settings: Mapping[str, str]) -> str:
    """Return the URL with which hdfs-native finds the token: Hadoop names tokens by the name node's IP address."""
    location = urlsplit(url)
    by_address = settings.get("hadoop.security.token.service.use_ip", "true").strip().lower() != "false"
    if not (asks_for_kerberos(settings) and os.environ.get("HADOOP_TOKEN_FILE_LOCATION") and by_address):
        return url
    if location.hostname is None or not location.port:
        return url  # tokens for a name service, which has no port, have its name
    try:
        return f"hdfs://{socket.gethostbyname(location.hostname)}:{location.port}"
    except OSError:
        return url


def _refusal(error: Exception) -> tuple[str | None, str]:
    """Return the name of the name node's Java exception, if known, and the first line of its message."""
    found = known.RPC_ERROR.find(str(error))
    if found is None:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        return _TRANSLATED.get(type(error)), message
    exception, message = found[1], found[2].split("\\n")[0].replace('\\"', '"')
    if exception == "AccessControlException" and known.PARENT_IS_A_FILE.find(message):
        exception = "ParentNotDirectoryException"
    return exception, message
