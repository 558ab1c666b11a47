"""A run's life on the storage: claimed, reported on while it is running, then published, kept for a resume, or discarded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

from sparktrain.display.console import RunDisplay
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.json_text import now
from sparktrain.runs.ownership import take_over
from sparktrain.runs.records.record import Record
from sparktrain.runs.records.run import End, Stop
from sparktrain.runs.result import Result
from sparktrain.runs.status_writer import StatusWriter
from sparktrain.storage import ClaimLost, open_folder

Ending = Callable[[BaseException], tuple[Result, str]]  # from an error to the run's result and details to show


class RunLifecycle:
    """A context manager that claims a run's folder, and records or removes what a run leaves that fails.

    With `ending`, a run that ends by an error leaves a record of it, and its checkpoints or trained model stay for the same
    command to resume. Without `ending`, and in a rehearsal, nothing is left.

    Args:
        folder: the folder that the run is made in.
        who: a description of this process for others: application, user.
        display: shows notes to the user.
        ending: called once with the error that ends the run, for its result; None if a failed run leaves nothing.
        rehearsal: whether to leave nothing in any case.
        pause: waits for some seconds while another driver of the run is watched; what it raises ends that.

    Attributes:
        earlier: a phrase that names the earlier driver and how it ended, if its work is in the folder; None for a new run.
    """

    def __init__(
        self,
        folder: RunFolder,
        who: Mapping[str, str],
        display: RunDisplay,
        ending: Ending | None = None,
        rehearsal: bool = False,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._folder, self._who, self._display, self._ending, self._rehearsal = folder, who, display, ending, rehearsal
        self._pause = pause
        self._last = ExitStack()
        self._status_writer: StatusWriter | None = None
        self.earlier: str | None = None

    def __enter__(self) -> RunLifecycle:
        """Claim the folder.

        Raises:
            RunTaken: another process has the run.
        """
        self.earlier = self._folder.claim(self._who, partial(take_over, note=self._display.note, pause=self._pause))
        return self

    def finally_do(self, action: Callable[[], object], otherwise: str) -> None:
        """Register an action for the run's end, after its folder is dealt with; the last one registered runs first.

        Args:
            otherwise: the message to show if the action fails, which doesn't change how the run ended.
        """
        self._last.callback(self._display.tidy, action, otherwise)

    def reported(
        self, hadoop: Mapping[str, str], status: Callable[[], Mapping[str, Any]], on_stop: Callable[[Stop], object]
    ) -> StatusWriter:
        """Return the context in which the run's status and log are written to its folder, and requests to stop it are read.

        Args:
            hadoop: Hadoop's settings that the storage needs.
            status: called for the content of status.json.
            on_stop: called with each request to stop the run, from another thread.
        """
        folder = open_folder(self._folder.staged.url, hadoop)  # for that thread alone
        log, note = self._display.log, self._display.note
        self._status_writer = StatusWriter(folder, status, log, note, self._folder.token, on_stop)
        return self._status_writer

    def check(self) -> None:
        """Check that this process still holds the run, as far as its status writer knows.

        Raises:
            ClaimLost: another process has taken the run over.
        """
        if self._status_writer is not None and self._status_writer.lost is not None:
            raise self._status_writer.lost

    def publish(self, summary: Record) -> None:
        """Complete the run's folder with its summary and log, and publish it."""
        self._folder.complete(summary, self._display.log.text())
        self._folder.publish()

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        with self._last:
            if error is not None and self._ending is not None:
                self._end(error, self._ending)
            if self._rehearsal or self._ending is None:  # a published folder is no longer here
                self._display.tidy(self._folder.discard, "the files that the run wrote were not removed")

    def _end(self, error: BaseException, ending: Ending) -> None:
        result, details = ending(error)
        self._display.log.add(f"{result.status}: {result.reason}" + (f"\n{details.rstrip()}" if details else ""))
        if self._rehearsal or isinstance(error, ClaimLost):  # the folder belongs to the other process
            return
        known: dict[str, Any] = {**result.line().model_dump(), **self._who}
        record = End(**known, finished=now(), traceback=details)
        self._display.tidy(
            lambda: self._leave(record), "the run's end was not recorded on the storage, or its files were not removed"
        )

    def _leave(self, record: End) -> None:
        folder = self._folder
        if folder.finished_summary() is not None:  # published, and then interrupted
            return
        folder.check()
        resumable = folder.has_work()
        folder.end(record.model_copy(update={"resumable": resumable}), self._display.log.text())
        if not resumable:
            folder.discard()
            return
        folder.release()
        self._display.note(folder.how_to_resume())
