"""One run's life on the storage: claimed, reported while it is at work, then published, kept for a resume, or discarded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

from sparktrain.display.console import RunDisplay
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.json_text import now
from sparktrain.runs.ownership import take_over
from sparktrain.runs.records import End, Record
from sparktrain.runs.result import Result
from sparktrain.runs.status_writer import StatusWriter
from sparktrain.storage import ClaimLost, open_folder

Ending = Callable[[BaseException], tuple[Result, str]]  # how a run ended by an error, and what more there is to show of it


class RunLifecycle:
    """Claims a run's folder and sees to its end, however that comes. Use it as a context manager.

    A run that ends by an error leaves a record of that; with `ending`, what it has come to (a checkpoint, a trained model)
    stays for the same command to resume. Without `ending`, and in a rehearsal, nothing is left.

    Args:
        folder: that the run is made in.
        who: this process, in words for others: application, user.
        display: tells of it.
        ending: asked how an error ends the run, once; None where a run that fails leaves nothing.
        rehearsal: whether nothing is to be left in any case.

    Attributes:
        earlier: whose work lies in the folder already, and how that ended; None where the run begins.
    """

    def __init__(
        self,
        folder: RunFolder,
        who: Mapping[str, str],
        display: RunDisplay,
        ending: Ending | None = None,
        rehearsal: bool = False,
    ) -> None:
        self._folder, self._who, self._display, self._ending, self._rehearsal = folder, who, display, ending, rehearsal
        self._last = ExitStack()
        self._status_writer: StatusWriter | None = None
        self.earlier: str | None = None

    def __enter__(self) -> RunLifecycle:
        """Claim the folder.

        Raises:
            RunTaken: it is another's.
        """
        self.earlier = self._folder.claim(self._who, partial(take_over, note=self._display.note))
        return self

    def finally_do(self, action: Callable[[], object], otherwise: str) -> None:
        """Have something done at the run's end, after its folder; what was asked for last is done first.

        Args:
            otherwise: told where it fails, which changes nothing of how the run ended.
        """
        self._last.callback(self._display.tidy, action, otherwise)

    def reported(self, hadoop: Mapping[str, str], status: Callable[[], Mapping[str, Any]]) -> StatusWriter:
        """Return the context in which the run is at work: its status and log are written to its folder.

        Args:
            hadoop: Hadoop's settings that the storage needs.
            status: asked for the status.
        """
        folder = open_folder(self._folder.staged.url, hadoop)  # for that thread alone
        self._status_writer = StatusWriter(folder, status, self._display.log, self._display.note, self._folder.token)
        return self._status_writer

    def check(self) -> None:
        """See that the run is still this process's, as far as its status writer knows.

        Raises:
            ClaimLost: another process has taken it over.
        """
        if self._status_writer is not None and self._status_writer.lost is not None:
            raise self._status_writer.lost

    def publish(self, summary: Record) -> None:
        """Complete the run's folder, and make it seen."""
        self._folder.complete(summary, self._display.log.text())
        self._folder.publish()

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        with self._last:
            if error is not None and self._ending is not None:
                self._end(error, self._ending)
            if self._rehearsal or self._ending is None:  # of what was published nothing is left here
                self._display.tidy(self._folder.discard, "what the run had written is still there")

    def _end(self, error: BaseException, ending: Ending) -> None:
        result, details = ending(error)
        self._display.log.add(f"{result.status}: {result.reason}" + (f"\n{details.rstrip()}" if details else ""))
        if self._rehearsal or isinstance(error, ClaimLost):  # what is there is the other process's by now
            return
        known: dict[str, Any] = {**result.line().model_dump(), **self._who}
        record = End(**known, finished=now(), traceback=details)
        self._display.tidy(
            lambda: self._leave(record), "how the run ended is not on the storage, or what it had written is still there"
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
        self._display.note(
            f"what run {folder.run} has come to is kept for 30 days: the same command with --run-id {folder.run} (in a program: run_id="
            f"{folder.run!r}) goes on from there, and `sparktrain runs remove {folder.final.url}` removes it"
        )
