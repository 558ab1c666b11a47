"""The log of an Optuna study as numbered files on any storage, by create-if-absent alone: no database, and no locks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from sparktrain.storage import Folder, NotFound

_WRITTEN = 10.0  # seconds after which a file that is no JSON counts as its writer's last
_AGAIN = 0.02  # seconds


class FolderJournal(BaseJournalBackend):
    """A backend for Optuna's `JournalStorage`.

    Each append is a file with the next number, which the storage gives to exactly one of several writers; the others try the
    number after it. A file that is there never changes, so what was read once isn't read again.

    Args:
        folder: the folder of the files, which need not exist; used by one thread at a time.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._logs: list[dict[str, Any]] = []  # of all files that were read
        self._files = 0

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return all logs from a number on, those of other writers among them."""
        self._catch_up()
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append logs, side by side, behind all that others have written."""
        content = json.dumps(logs).encode()
        self._catch_up()
        while not self._folder.claim(_name(self._files), content):
            self._catch_up()

    def _catch_up(self) -> None:
        while True:
            try:
                self._logs += self._content(_name(self._files))
            except NotFound:
                return
            self._files += 1

    def _content(self, name: str) -> list[dict[str, Any]]:
        """Return the logs of a file; none if its writer was killed within it."""
        until = time.monotonic() + _WRITTEN
        while True:
            try:
                return json.loads(self._folder.read_bytes(name))
            except ValueError:  # a store that can't create a file with its content shows it before it is whole
                if time.monotonic() > until:
                    return []
            time.sleep(_AGAIN)


def _name(number: int) -> str:
    return f"{number:09d}.json"
