"""What goes wrong with a storage, said to a user."""

from __future__ import annotations


class StorageError(RuntimeError):
    """A storage could not do what was asked. The message names the URL, what failed and what to do.

    Attributes:
        transient: whether the same may succeed a moment later: a storage that is away, not one that refuses.
    """

    transient = False


class NotFound(StorageError):
    """There is no such file or folder."""
