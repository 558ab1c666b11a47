"""Writes a running run's status and log to the storage, for readers elsewhere, and reads their requests to stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sparktrain.runs.json_text import now
from sparktrain.runs.log import RunLog
from sparktrain.runs.paths import LOG, STATUS, STOP
from sparktrain.runs.records.run import Status, Stop
from sparktrain.storage import ClaimLost, Folder, NotFound
from sparktrain.storage.claims import check_claim

_EVERY = 3.0  # seconds between checks for changes
_SIGN = 60.0  # seconds after which an unchanged status is written again, as a sign of life
_SELDOM = 30.0  # seconds between two writes of a long run, so that many runs don't keep a NameNode busy
_PASSING = ("updated", "seconds")  # fields that change all the time


class StatusWriter:
    """A context manager whose thread writes `status.json` and `log.txt` into a run's folder.

    A failure of the storage is reported once, and the write retried: it never delays or fails the run.

    Args:
        folder: the folder that the run is made in, opened for this thread alone.
        status: called for the content of status.json.
        log: the run's log.
        tell: called with a message, once, if the storage fails.
        token: the token of this process's claim on the folder; if another process takes the folder over, writing ends.
        on_stop: called with each request to stop the run, in the writing thread.

    Attributes:
        lost: the error that ended the writing, if another process has taken the run over; else None.
    """

    def __init__(
        self,
        folder: Folder,
        status: Callable[[], Mapping[str, Any]],
        log: RunLog,
        tell: Callable[[str], None],
        token: str,
        on_stop: Callable[[Stop], object] = lambda request: None,
    ) -> None:
        self._folder = folder.at_once()
        self._status, self._log, self._tell, self._token = status, log, tell, token
        self._on_stop = on_stop
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
        """Stop writing; once this returns, the folder may be moved or removed."""
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                self._read_stop()
                self._write()
            except ClaimLost as error:
                self.lost = error
                return
            except Exception as error:  # any failure of the storage: the run continues without a status
                if not self._failed:
                    self._failed = True
                    self._tell(f"the run's status can't be written, retrying every {_EVERY:.0f} s: {error}")
            if self._closed.wait(_EVERY):
                return

    def _read_stop(self) -> None:
        """Pass on a request to stop, and remove it: a run that is resumed later goes on."""
        try:
            text = self._folder.read_text(STOP)
        except NotFound:
            return
        try:
            self._on_stop(Stop.model_validate_json(text))
        except ValueError as error:  # pydantic's
            self._tell(f"{self._folder.url}/{STOP} is no request to stop, and is ignored: {error}")
        self._folder.remove(STOP)

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
    """Return whether the status is to be written now: the older the run, the less often.

    Args:
        changed: whether there is anything new to write.
        seconds: the time since the last write.
        age: the run's age in seconds.
    """
    return seconds >= (min(_SELDOM, age / 60) if changed else _SIGN)
