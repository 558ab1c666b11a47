"""The errors of storage."""

from __future__ import annotations


class StorageError(RuntimeError):
    """Raised where a storage operation fails. The message names the URL, what failed and what to do.

    Attributes:
        transient: whether the same may succeed later: true if the storage doesn't answer, false if it refuses.
    """

    transient = False


class NotFound(StorageError):
    """Raised where there is no such file or folder."""
