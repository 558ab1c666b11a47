"""A run's status and log on the storage while it is at work, for who is elsewhere."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Callable, Mapping

from sparktrain.driver.log import RunLog
from sparktrain.driver.output import LOG, STATUS, now
from sparktrain.storage import Folder

_EVERY = 3.0    # seconds between looks at what has changed
_SIGN = 60.0    # seconds after which a status is written though nothing has changed: the run lives
_PASSING = ("updated", "seconds")   # what changes by itself


class Report:
    """Writes `status.json` and `log.txt` into a run's folder, from a thread of its own. Use it as a context manager.

    A storage that fails is tried again at the next look, and told of once: it never delays or fails the run.

    Args:
        folder: the run's own, while it is at work; opened for this thread alone.
        status: asked for the status.
        log: the run's.
        tell: told, once, that the storage fails.
    """

    def __init__(
        self, folder: Folder, status: Callable[[], Mapping[str, Any]], log: RunLog, tell: Callable[[str], None]
    ) -> None:
        self._folder = folder.at_once()
        self._status, self._log, self._tell = status, log, tell
        self._written: dict[str, Any] | None = None   # the status that the storage has
        self._written_at = 0.0
        self._lines = 0                               # of the log that the storage has
        self._failed = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="report", daemon=True)

    def __enter__(self) -> Report:
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
            except Exception as error:   # of the storage, whatever it may be: the run goes on without
                if not self._failed:
                    self._failed = True
                    self._tell(f"the run's status can't be written, which is tried again every {_EVERY:.0f} s: {error}")
            if self._closed.wait(_EVERY):
                return

    def _write(self) -> None:
        lines = self._log.added
        if lines != self._lines:
            self._folder.write_text(LOG, self._log.text())
            self._lines = lines
        status = dict(self._status())
        told = {name: value for name, value in status.items() if name not in _PASSING}
        if due(told != self._written, time.monotonic() - self._written_at):
            self._folder.write_text(STATUS, json.dumps({**status, "updated": now()}, indent=2) + "\n")
            self._written, self._written_at = told, time.monotonic()


def due(changed: bool, seconds: float) -> bool:
    """Whether a status is to be written.

    Args:
        seconds: since the last one was.
    """
    return changed or seconds >= _SIGN
