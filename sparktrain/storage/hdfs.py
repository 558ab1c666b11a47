"""The base of the HDFS stores, independent of the protocol: atomic writes, claims and renames."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sparktrain.known_messages import hdfs as known
from sparktrain.storage import retries
from sparktrain.storage.store import Explanation, Store, part_name

Result = TypeVar("Result")

CHUNK = 1 << 20  # bytes
ABSENT = {"FileNotFoundException", "ParentNotDirectoryException"}  # a name node's exceptions for a path that doesn't exist
# Exceptions of a name node that is starting or failing over, and of a DataNode that has lost its name node.
_PASSING = {
    "RetriableException",
    "StandbyException",
    "SafeModeException",
    "ConnectException",
    "EOFException",
    "SocketException",
    "SocketTimeoutException",
    "NoRouteToHostException",
}
_PASSING_MESSAGES = (known.NO_DATANODE, known.NO_BLOCK, known.NOT_REPLICATED, known.NAME_NODE_UNREACHABLE)


class HdfsStore(Store):
    """An HDFS, accessed as one user; subclasses implement the protocol.

    Attributes:
        refusals: the exceptions that mean that a name node has refused a request, and done nothing.
    """

    renames = True
    refusals: tuple[type[Exception], ...]

    @property
    @abstractmethod
    def answered(self) -> bool:
        """Whether a name node ever answered, even if with an error."""

    @abstractmethod
    def put(self, path: str, source: bytes | Path) -> None:
        """Create or replace a file, and create its parent folders."""

    @abstractmethod
    def rename(self, source: str, target: str, *, replace: bool) -> None:
        """Rename a file or folder atomically, never into an existing folder (HDFS's rename2)."""

    @abstractmethod
    def make_folder(self, path: str) -> None:
        """Create a folder and its parents, if they don't exist."""

    @abstractmethod
    def may_be_taken(self, error: Exception) -> bool:
        """Return whether a rename may have been refused because its target exists."""

    def write(self, path: str, source: bytes | Path) -> None:
        # HDFS closes the file of a writer that dies as if it were complete: so it is written under another name first.
        part = self._part(path, source)
        try:
            self.rename(part, path, replace=True)
        except self.refusals:
            self.remove(part)
            raise

    def claim(self, path: str, data: bytes) -> bool:
        if self._again(lambda: self.kind(path)) is not None:
            return False
        part = self._again(lambda: self._part(path, data))
        try:
            self._move(part, path)
        except self.refusals as error:
            self.remove(part)
            if self._taken(path, error):
                return False
            raise
        return True

    def move(self, source: str, target: str) -> None:
        self._again(lambda: self.make_folder(os.path.dirname(target)))
        try:
            self._move(source, target)
        except self.refusals as error:
            if self._taken(target, error):
                raise FileExistsError(target) from error
            raise

    def _taken(self, path: str, error: Exception) -> bool:
        return self.may_be_taken(error) and self._again(lambda: self.kind(path)) is not None

    def _part(self, path: str, source: bytes | Path) -> str:
        part = os.path.join(os.path.dirname(path), part_name())
        self.put(part, source)
        return part

    def _move(self, source: str, target: str) -> None:
        tries = 0

        def once() -> None:
            nonlocal tries
            tries += 1
            # An earlier try may have succeeded although its answer was lost.
            if tries == 1 or self.kind(source) is not None or self.kind(target) is None:
                self.rename(source, target, replace=False)

        self._again(once)

    def _again(self, call: Callable[[], Result]) -> Result:
        return retries.retry(call, self.transient, self.delays)

    def delays(self) -> Sequence[float]:
        return retries.KNOWN if self.answered else retries.UNKNOWN


def passes(exception: str | None, message: str) -> bool:
    """Return whether the same request may succeed later, although a name node has refused it."""
    return exception in _PASSING or any(known_message.find(message) for known_message in _PASSING_MESSAGES)


def explain_refusal(exception: str | None, message: str, user: str) -> Explanation:
    """Explain a name node's refusal to a user.

    Args:
        exception: the name of its Java exception, if known.
        message: its message.
        user: the user that the request was made as.
    """
    message = " ".join(message.split())[:400]
    match exception:
        case "FileNotFoundException" if known.IS_A_FOLDER.find(message):
            return Explanation("it is a folder, not a file", "Check the name.")
        case "FileNotFoundException":
            return Explanation("there is no such file or folder", "Check the name.", missing=True)
        case "AccessControlException" | "SecurityException":
            return Explanation(
                f"no permission ({message})",
                f"This program accesses HDFS as {user!r}: set "
                "HADOOP_USER_NAME, or have the permission changed (hdfs dfs -chown, -chmod).",
            )
        case "SafeModeException":
            return Explanation(
                "the NameNode is in safe mode, in which nothing can be written",
                "Wait until it has left it; see `hdfs dfsadmin -safemode get`.",
            )
        case "StandbyException":
            return Explanation("no NameNode is active", "Check the high availability of HDFS.")
        case "ParentNotDirectoryException":
            return Explanation(
                f"a file is where a folder is needed ({message})", "Remove that file, or choose another folder.", missing=True
            )
        case "FileAlreadyExistsException":
            return Explanation(f"something else is there already ({message})", "Remove it, or choose another name.")
        case "NSQuotaExceededException" | "DSQuotaExceededException" | "QuotaByStorageTypeExceededException":
            return Explanation(f"a quota is used up ({message})", "Remove old runs, or have the quota raised.")
    ticket = known.NO_TICKET.find(message)
    if ticket or known.NO_MECHANISM.find(message) or known.NOT_AUTHENTICATED.find(message):
        why = (ticket[1] or message) if ticket else "none came"
        return Explanation(
            f"HDFS does not take {user!r} at its word: it asks for a ticket of Kerberos or a token ({why})",
            "Get a ticket with kinit, or set KRB5_CLIENT_KTNAME to a keytab; Hadoop's configuration "
            "(HADOOP_CONF_DIR) must have hadoop.security.authentication: kerberos.",
        )
    if known.RENAME_OF_TWO_KINDS.find(message):
        return Explanation("a folder is where a file is needed", "Remove that folder, or choose another name.")
    if exception is None and known.NOT_A_FOLDER.find(message):
        return Explanation("a file is where a folder is needed", "Choose another folder.", missing=True)
    return Explanation(f"{exception or 'HDFS'}: {message}", "Check the health of HDFS and its NameNode's log.")
