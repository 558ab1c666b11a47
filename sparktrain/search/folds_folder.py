"""A cross-validation on the storage: claimed and reported on like a run, with the run of each fold in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparktrain.runs.failures import ENDED
from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.paths import STAGED
from sparktrain.runs.records.run import Summary
from sparktrain.search.search_folder import SEARCHES, forget_old_searches
from sparktrain.storage import SUMMARY

_FOLDS = "folds"


def fold_of(number: int) -> str:
    """Return the id of a fold's run."""
    return f"fold-{number}"


class FoldsFolder(RunFolder):
    """A cross-validation's place on the storage, under the job's output.path.

    Its claim, its status and its log are those of a run of its id. Its folds' runs are in `_searches/ID/folds`, so that they aren't
    taken for runs of the job; when all have finished, that folder becomes the folder of the cross-validation's id.

    Attributes:
        folds: the folder that the folds' runs are written to.
    """

    def __init__(self, url: str, run: str, hadoop: Mapping[str, str]) -> None:
        super().__init__(url, run, hadoop)
        self.place = self.root.join(SEARCHES, run)
        self.folds = self.place.join(_FOLDS)

    def finished_folds(self) -> dict[str, Any] | None:
        """Return the content of the cross-validation's summary.json; None if none of this id is complete.

        Raises:
            RunTaken: the id is that of a run, or of a search.
        """
        summary = self.finished_summary()
        if (summary is not None and not summary.get("folds")) or (summary is None and self.place.exists("search.json")):
            raise RunTaken(f"--run-id {self.run!r} is that of another run of the job. Choose another id for the cross-validation")
        return summary

    def has_work(self) -> bool:
        """Return whether a fold's run has begun, so that the cross-validation can be resumed."""
        return self.folds.exists()

    def forget_old(self) -> None:
        """Remove what is left of cross-validations and searches that ended without a model more than 30 days ago."""
        super().forget_old()
        forget_old_searches(self.root)

    def publish_folds(self, summary: Summary, files: Mapping[str, str]) -> None:
        """Make the folder of the folds' runs that of the cross-validation's id, by one rename. If it is interrupted, the same
        command does it again.

        Args:
            files: the content of the files beside the folds' runs, by their names.
        """
        self.check()
        folds = self.folds.persistent()
        for name in (STAGED, ENDED):  # empty, as all runs have finished, or left by earlier tries
            folds.remove(name, recursive=True)
        for name, content in files.items():
            folds.write_text(name, content)
        summary.write(folds, SUMMARY)
        self.check()
        self.root.publish(f"{SEARCHES}/{self.run}/{_FOLDS}", self.run)
