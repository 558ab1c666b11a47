"""A run's folder: made under `_runs` and published by one rename when complete, so that readers never see half of it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from sparktrain.interfaces.checkpoints import CHECKPOINTS
from sparktrain.interfaces.messages import WEIGHTS
from sparktrain.runs import failures
from sparktrain.runs.claimant import HELD_TOKENS, machine
from sparktrain.runs.json_text import now
from sparktrain.runs.paths import IDENTITY, KEPT_LOG, LOG, MODEL, STAGED, STATUS, STOP
from sparktrain.runs.records.record import Record
from sparktrain.runs.records.run import End
from sparktrain.storage import SUMMARY, NotFound, StorageError, claims, open_folder
from sparktrain.storage.retries import PERSISTENT


class RunTaken(ValueError):
    """Raised where a run id belongs to another run."""


class RunFolder:
    """One run's folder while it is being made.

    Subclasses may publish a folder in it (`WHOLE`) instead of all of it, and may name its records otherwise.

    Args:
        url: the job's output.path, the folder of all its runs.
        run: the run's id.
        hadoop: the settings of Hadoop that storage needs.
        option: the command line's option that set the id, for messages.

    Attributes:
        token: the token of this process's claim on the folder; empty before `claim`.
        whole: the folder that becomes the final one when it is published.
    """

    WHOLE = ""

    def __init__(self, url: str, run: str, hadoop: Mapping[str, str], option: str = "--run-id") -> None:
        self.run, self.token, self.option = run, "", option
        self.root = open_folder(url, hadoop)
        self.staged = self.root.join(STAGED, run)
        self.whole = self.staged.join(self.WHOLE) if self.WHOLE else self.staged
        self.final = self.root.join(run)

    def finished_summary(self) -> dict[str, Any] | None:
        """Return the content of the published run's summary.json; None if no run of this id is complete."""
        name = self.records(SUMMARY)
        return json.loads(self.final.read_text(name)) if self.final.exists(name) else None

    def records(self, name: str) -> str:
        """Return the name that a record has in the folder that is published."""
        return name

    def claim(
        self, who: Mapping[str, Any], take_over: Callable[[RunFolder, Mapping[str, Any]], str | None] = lambda folder, who: None
    ) -> str | None:
        """Claim the run id for this process, also if an earlier run of this id ended without a model.

        Args:
            who: a description of this process for others: application, user.
            take_over: called if another process has claimed the folder; returns the token of the new claim, or None if that
                process is alive.

        Returns:
            A phrase that names the earlier driver and how it ended, if its work is in the folder; None for a new run.

        Raises:
            RunTaken: another process has the id.
        """
        token = secrets.token_hex(16)
        claim = {**who, "host": socket.gethostname(), "machine": machine(), "pid": os.getpid(), "since": now(), "token": token}
        before = claims.owner(self.staged)
        HELD_TOKENS.add(token)  # before others can read it: a claim with this pid whose token isn't held counts as dead
        if (before is not None or claims.take(self.staged, claim) is None) and take_over(self, claim) is None:
            HELD_TOKENS.discard(token)
            found = claims.owner(self.staged)
            raise RunTaken(
                f"{self.option} {self.run!r} is in use by {found[1] if found else 'a run that has just ended'}. "
                f"Choose another id, or, if that process is dead, remove {self.staged.url}"
            )
        self.token = token
        record = failures.read(self.root, self.run)
        failures.forget(self.root, self.run)
        for name in (STATUS, STOP):  # of an earlier driver
            self.staged.remove(name)
        if before is not None:
            other = before[1]
            return f"{other.get('application')} on {other.get('host')}, started {other.get('since')}, was killed"
        return f"it {record['status']} at {record['finished']}" if record is not None and self.has_work() else None

    def check(self) -> None:
        """Check that this process still holds the run.

        Raises:
            ClaimLost: another process has taken it over.
        """
        claims.check_claim(self.staged, self.token)

    def has_work(self) -> bool:
        """Return whether the folder has something to resume from: a checkpoint, a trained model, or a model's weights."""
        return any(map(self.staged.exists, (MODEL, WEIGHTS))) or bool(
            self.staged.exists(CHECKPOINTS) and self.staged.join(CHECKPOINTS).list()
        )

    def how_to_resume(self) -> str:
        """Return a sentence for the user of a run that ended early, and has work."""
        return (
            f"the checkpoints of run {self.run} are kept for 30 days: resume it with the same command and --run-id {self.run} (in a "
            f"program: run_id={self.run!r}), or remove it with `sparktrain runs remove {self.final.url}`"
        )

    def is_complete(self) -> bool:
        """Return whether all files are written, so that only `publish` is left to do."""
        return self.whole.exists(self.records(SUMMARY))

    def complete(self, summary: Record, log: str) -> None:
        """Write the log and, as the last file, summary.json, which makes the run complete."""
        self.check()
        whole = self.whole.persistent()
        whole.write_text(self.records(KEPT_LOG), log)
        summary.write(whole, self.records(SUMMARY))

    def publish(self) -> None:
        """Publish a complete run by one rename. If it is interrupted, the same command does it again.

        The claim is released last, after the rename: until then no other process can claim the folder.
        """
        self.check()
        for name in (CHECKPOINTS, IDENTITY, STATUS, STOP, LOG):
            self.staged.persistent().remove(name, recursive=True)
        self.rename()
        HELD_TOKENS.discard(self.token)
        with contextlib.suppress(StorageError):  # the run is published; a claim has no effect outside of _runs
            claims.release(self.final)

    def rename(self) -> None:
        """Give the complete folder its final name. If an earlier call did without hearing of it, there is nothing to do.

        Raises:
            StorageError: another folder has the name, or the storage fails.
        """
        for delay in (*PERSISTENT, None):
            try:
                staged = "/".join(filter(None, (STAGED, self.run, self.WHOLE)))
                return self.root.publish(staged, self.run, self.records(SUMMARY))
            except NotFound:
                if self.finished_summary() is None or self.whole.exists():
                    raise
                return  # an earlier try succeeded, but its answer was lost
            except StorageError as error:
                if delay is None or not error.transient:
                    raise
                time.sleep(delay)

    def end(self, record: End, log: str) -> None:
        """Record how the run ended, unless it was published."""
        if self.finished_summary() is None:
            failures.write(self.root, self.run, record, log)

    def release(self) -> None:
        """Release the claim on the run id; the folder's files stay for a process that resumes the run."""
        claims.release(self.staged)
        HELD_TOKENS.discard(self.token)

    def discard(self) -> None:
        """Remove the folder that the run was made in, unless another process has taken it over."""
        if self.staged.exists() and claims.holds(self.staged, self.token):
            self.staged.remove(recursive=True)
        HELD_TOKENS.discard(self.token)

    def clear(self) -> None:
        """Remove everything that an earlier process left in the folder, except for the claims."""
        for name in self.staged.list():
            if not claims.is_claim(name):
                self.staged.remove(name, recursive=True)

    def forget_old(self) -> None:
        """Remove what is left of runs that ended without a model more than 30 days ago."""
        failures.forget_old(self.root, STAGED)
