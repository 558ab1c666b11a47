"""A run's folder: made apart under `_runs`, then published by one rename, so that it is complete or not there."""

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
from sparktrain.runs.paths import IDENTITY, KEPT_LOG, LOG, MODEL, STAGED, STATUS
from sparktrain.runs.records import End, Record
from sparktrain.storage import SUMMARY, NotFound, StorageError, claims, open_folder
from sparktrain.storage.retries import PERSISTENT


class RunTaken(ValueError):
    """The run id belongs to another run."""


class RunFolder:
    """One run's folder while it is being made.

    Args:
        url: output.path, the folder of all runs of a job.
        run: the run's id.
        hadoop: what storage needs of Hadoop's configuration.
        option: what named it on the command line.

    Attributes:
        token: of this process's claim on the folder; empty before `claim`.
    """

    def __init__(self, url: str, run: str, hadoop: Mapping[str, str], option: str = "--run-id") -> None:
        self.run, self.token, self._option = run, "", option
        self.root = open_folder(url, hadoop)
        self.staged = self.root.join(STAGED, run)
        self.final = self.root.join(run)

    def finished_summary(self) -> dict[str, Any] | None:
        """The summary of the run of this id, if it is complete."""
        return json.loads(self.final.read_text(SUMMARY)) if self.final.exists(SUMMARY) else None

    def claim(
        self, who: Mapping[str, Any], take_over: Callable[[RunFolder, Mapping[str, Any]], str | None] = lambda folder, who: None
    ) -> str | None:
        """Make the run id this process's own, also where an earlier run of this id ended without a model.

        Args:
            who: this process, in words for others: application, user.
            take_over: called where another process has the folder; returns the token of the claim that follows its claim, or
                None where that process is alive.

        Returns:
            Whose work lies in the folder already, and how that ended; None where the run begins.

        Raises:
            RunTaken: it is another's.
        """
        token = secrets.token_hex(16)
        mine = {**who, "host": socket.gethostname(), "machine": machine(), "pid": os.getpid(), "since": now(), "token": token}
        before = claims.owner(self.staged)
        HELD_TOKENS.add(token)  # before others may read it: a claim of this process that it doesn't hold counts as a dead one's
        if (before is not None or claims.take(self.staged, mine) is None) and take_over(self, mine) is None:
            HELD_TOKENS.discard(token)
            found = claims.owner(self.staged)
            raise RunTaken(
                f"{self._option} {self.run!r} is taken by a run that is alive or was killed: {found[1] if found else 'which has just ended'}. "
                f"Choose another, or, if it is dead, remove {self.staged.url}"
            )
        self.token = token
        record = failures.read(self.root, self.run)
        failures.forget(self.root, self.run)
        self.staged.remove(STATUS)  # of an earlier driver
        if before is not None:
            other = before[1]
            return f"{other.get('application')} on {other.get('host')}, begun {other.get('since')}, was killed at it"
        return f"it {record['status']} at {record['finished']}" if record is not None and self.has_work() else None

    def check(self) -> None:
        """Refuse to write where another process has taken the run over.

        Raises:
            ClaimLost: it has.
        """
        claims.check_claim(self.staged, self.token)

    def has_work(self) -> bool:
        """Whether there is what training has come to: a checkpoint, a trained model, or the weights of one that can't be saved."""
        return any(map(self.staged.exists, (MODEL, WEIGHTS))) or bool(
            self.staged.exists(CHECKPOINTS) and self.staged.join(CHECKPOINTS).list()
        )

    def is_complete(self) -> bool:
        """Whether all is there, and nothing but the publishing is left to do."""
        return self.staged.exists(SUMMARY)

    def complete(self, summary: Record, log: str) -> None:
        """Write what is left: with summary.json, the last file, the run is complete."""
        self.check()
        staged = self.staged.persistent()
        staged.write_text(KEPT_LOG, log)
        summary.write(staged, SUMMARY)

    def publish(self) -> None:
        """Make a complete run seen, whole, by one rename; it is done again by the same command where it is cut off.

        The claim goes last, when the run is where it is seen: until then no other process takes the folder for its own.
        """
        self.check()
        for name in (CHECKPOINTS, IDENTITY, STATUS, LOG):
            self.staged.persistent().remove(name, recursive=True)
        self._rename()
        HELD_TOKENS.discard(self.token)
        with contextlib.suppress(StorageError):  # the run is there; a claim says nothing outside of _runs
            claims.release(self.final)

    def _rename(self) -> None:
        for delay in (*PERSISTENT, None):
            try:
                return self.root.publish(f"{STAGED}/{self.run}", self.run)
            except NotFound:
                if self.finished_summary() is None or self.staged.exists():
                    raise
                return  # an earlier try went through, and its answer was lost
            except StorageError as error:
                if delay is None or not error.transient:
                    raise
                time.sleep(delay)

    def end(self, record: End, log: str) -> None:
        """Keep how a run ended that left no model; of one that did, nothing is to be kept."""
        if self.finished_summary() is None:
            failures.write(self.root, self.run, record, log)

    def release(self) -> None:
        """Let others have the run id; what lies in the folder stays for who resumes the run."""
        claims.release(self.staged)
        HELD_TOKENS.discard(self.token)

    def discard(self) -> None:
        """Leave nothing in the folder that the run was made in; what another process has taken over is left alone."""
        if self.staged.exists() and claims.holds(self.staged, self.token):
            self.staged.remove(recursive=True)
        HELD_TOKENS.discard(self.token)

    def clear(self) -> None:
        """Remove what an earlier process has left in the folder, but for the claims."""
        for name in self.staged.list():
            if not claims.is_claim(name):
                self.staged.remove(name, recursive=True)

    def forget_old(self) -> None:
        """Remove what is still there of runs that ended without a model long ago."""
        failures.forget_old(self.root, STAGED)
