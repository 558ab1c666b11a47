"""A search on the storage: claimed and reported on like a run, with its trials beside the runs of its job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.identity import NotTheSame, differing
from sparktrain.runs.json_text import now
from sparktrain.runs.paths import IDENTITY, LINEAGE, STAGED
from sparktrain.runs.records.search import SearchRecord, TrialRecord
from sparktrain.search.results import RECORDS, RESULTS
from sparktrain.search.trials import TRIALS
from sparktrain.storage import SUMMARY, Folder

SEARCHES = "_searches"
_RECORD = "search.json"
_ANOTHER = "Choose another id for the search"
_KEPT = 30 * 86400.0  # seconds


class SearchFolder(RunFolder):
    """A search's place on the storage, under the job's output.path.

    Its claim, its status and its log are those of a run of its id. Its trials, their records and Optuna's study are in
    `_searches/ID`, so that they aren't taken for runs of the job. The best trial's run becomes the run of the search's id.

    Attributes:
        place: the folder `_searches/ID`.
    """

    def __init__(self, url: str, run: str, hadoop: Mapping[str, str]) -> None:
        super().__init__(url, run, hadoop)
        self.place = self.root.join(SEARCHES, run)

    def finished_search(self) -> dict[str, Any] | None:
        """Return the content of the best run's summary.json; None if no search of this id is complete.

        Raises:
            RunTaken: the id is that of a finished run.
        """
        summary = self.finished_summary()
        if summary is not None and not self.final.exists(f"{RESULTS}/{RECORDS}"):
            raise RunTaken(f"--run-id {self.run!r} is that of a finished run of the job, {self.final.url}. {_ANOTHER}")
        return summary

    def has_work(self) -> bool:
        """Return whether a trial has begun, so that the search can be resumed."""
        return self.place.exists(_RECORD)

    def check_same(self, mine: SearchRecord) -> None:
        """Compare the search with the one that it was begun as, or record it if it begins now.

        Raises:
            RunTaken: the id is that of a run.
            NotTheSame: they differ; the message names the differences.
        """
        if self.staged.exists(IDENTITY):
            raise RunTaken(f"--run-id {self.run!r} is that of a run of the job, which has not ended. {_ANOTHER}")
        if not self.place.exists(_RECORD):
            mine.write(self.place, _RECORD)
            return
        begun = json.loads(self.place.read_text(_RECORD))
        later = json.loads(json.dumps(mine.content(), default=str))
        found = [each for name in later if name in begun for each in differing(name, begun[name], later[name])]
        if found:
            raise NotTheSame(
                f"search {self.run!r} was begun as another one and can't be resumed: {'; '.join(found[:5])}. Undo the change, or "
                f"choose another --run-id (or remove {self.place.url})"
            )

    def forget_old(self) -> None:
        """Remove what is left of searches that ended without a model, or were killed, more than 30 days ago."""
        super().forget_old()
        forget_old_searches(self.root)

    def publish_best(
        self, trial: TrialRecord, job: str, about: Mapping[str, Any], files: Mapping[str, bytes], wall: float
    ) -> None:
        """Make the best trial's run the run of the search's id, by one rename. If it is interrupted, the same command does it again.

        Args:
            job: the content of its job.yaml.
            about: the content of `search` in its lineage.json.
            files: the content of the search's table and pictures, by their names.
            wall: seconds of the whole search.
        """
        self.check()
        path = f"{SEARCHES}/{self.run}/{TRIALS}/{trial.run}"
        found = self.root.join(path).persistent()
        for name, content in files.items():
            found.write_bytes(f"{RESULTS}/{name}", content)
        found.write_text("job.yaml", job)
        for name, more in (
            (LINEAGE, {"run": self.run, "search": dict(about)}),
            (SUMMARY, {"run": self.run, "finished": now(), "wall": round(wall, 3)}),
        ):
            found.write_text(name, json.dumps({**json.loads(found.read_text(name)), **more}, indent=2) + "\n")
        self.check()
        self.root.publish(path, self.run)


def forget_old_searches(root: Folder) -> None:
    """Remove what is left of searches that ended without a model, or were killed, more than 30 days ago.

    What remains of one beside its best run stays, as the other trials' models are in it.

    Args:
        root: the folder that `output.path` names.
    """
    searches = root.join(SEARCHES)
    for name, time in searches.modified().items():
        gone = not any(map(root.exists, (f"{STAGED}/{name}", name)))
        if gone and time < datetime.now(UTC).timestamp() - _KEPT:
            searches.remove(name, recursive=True)
