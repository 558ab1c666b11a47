"""A run's status and log on the storage while it is at work, for who is elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sparktrain.runs.json_text import now
from sparktrain.runs.log import RunLog
from sparktrain.runs.paths import LOG, STATUS
from sparktrain.runs.records import Status
from sparktrain.storage import ClaimLost, Folder
from sparktrain.storage.claims import check_claim

_EVERY = 3.0  # seconds between looks at what has changed
_SIGN = 60.0  # seconds after which a status is written though nothing has changed: the run lives
_SELDOM = 30.0  # seconds between two writes of an old run: many runs would keep a NameNode busy with their status
_PASSING = ("updated", "seconds")  # what changes by itself


class StatusWriter:
    """Writes `status.json` and `log.txt` into a run's folder, from a thread of its own. Use it as a context manager.

    A storage that fails is tried again at the next look, and told of once: it never delays or fails the run.

    Args:
        folder: the run's own, while it is at work; opened for this thread alone.
        status: asked for the status.
        log: the run's.
        tell: told, once, that the storage fails.
        token: of the process's claim on the folder; where another has the folder by now, nothing is written any more.

    Attributes:
        lost: why nothing is written any more, where another process has taken the run over.
    """

    def __init__(
        self, folder: Folder, status: Callable[[], Mapping[str, Any]], log: RunLog, tell: Callable[[str], None], token: str
    ) -> None:
        self._folder = folder.at_once()
        self._status, self._log, self._tell, self._token = status, log, tell, token
        self.lost: ClaimLost | None = None
        self._begun = time.monotonic()
        self._written: dict[str, Any] | None = None  # the status that the storage has
        self._written_at = 0.0
        self._lines = 0  # of the log that the storage has
        self._failed = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="report", daemon=True)

    def __enter__(self) -> StatusWriter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """When it returns, nothing is written any more: the folder may be moved or removed."""
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                self._write()
            except ClaimLost as error:
                self.lost = error
                return
            except Exception as error:  # of the storage, whatever it may be: the run goes on without
                if not self._failed:
                    self._failed = True
                    self._tell(f"the run's status can't be written, which is tried again every {_EVERY:.0f} s: {error}")
            if self._closed.wait(_EVERY):
                return

    def _write(self) -> None:
        lines, status = self._log.added, dict(self._status())
        told = {name: value for name, value in status.items() if name not in _PASSING}
        changed = told != self._written or lines != self._lines
        moment = time.monotonic()
        if not due(changed, moment - self._written_at, moment - self._begun):
            return
        check_claim(self._folder, self._token)
        if lines != self._lines:
            self._folder.write_text(LOG, self._log.text())
            self._lines = lines
        Status(**status, updated=now()).write(self._folder, STATUS)
        self._written, self._written_at = told, moment


def due(changed: bool, seconds: float, age: float) -> bool:
    """Decide whether the storage is written to: a run is written of less often as it gets older.

    Args:
        changed: whether there is anything new to write.
        seconds: since the last write.
        age: of the run, in seconds.
    """
    return seconds >= (min(_SELDOM, age / 60) if changed else _SIGN)
