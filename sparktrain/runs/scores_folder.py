"""The folder of a scoring: Spark's files, made portion by portion and published by one rename."""

from __future__ import annotations

import contextlib
import json

from sparktrain.runs.claimant import HELD_TOKENS
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.records.scores import Portion
from sparktrain.storage import NotFound, StorageError

_PORTIONS = "portions"
_PLAN = "plan.json"
_RECORDS = "_sparktrain"  # Spark ignores folders whose names begin like this


class ScoresFolder(RunFolder):
    """A scoring's folder while it is being made. What is published has Spark's files, and the records in `_sparktrain`."""

    WHOLE = "scores"

    def records(self, name: str) -> str:
        """Return the name that a record has in the folder that is published."""
        return f"{_RECORDS}/{name}"

    def has_work(self) -> bool:
        """Return whether the folder has a portion that is written completely."""
        return bool(self.written())

    def how_to_resume(self) -> str:
        """Return a sentence for the user of a scoring that ended early, and has work."""
        return (
            f"what has been scored is kept for 30 days in {self.staged.url}: the same command goes on from there"
            f"{f' with --run-id {self.run.removeprefix(APPENDED)}' if self.run.startswith(APPENDED) else ''}. "
            f"To begin anew, remove it: sparktrain runs remove {self.final.url}"
        )

    def planned(self, count: int) -> int:
        """Return the number of portions that the scoring was begun with, or record that it begins with `count`."""
        plan = f"{_PORTIONS}/{_PLAN}"
        if not self.staged.exists(plan):
            self.staged.write_text(plan, json.dumps({"portions": count}))
            return count
        return json.loads(self.staged.read_text(plan))["portions"]

    def written(self) -> dict[int, Portion]:
        """Return the portions that are written completely, by their numbers from 0."""
        try:
            names = self.staged.join(_PORTIONS).list()
        except NotFound:
            return {}
        return {
            int(name.removesuffix(".json")): Portion.model_validate_json(self.staged.read_text(f"{_PORTIONS}/{name}"))
            for name in names
            if name != _PLAN
        }

    def clean(self) -> set[str]:
        """Remove what a writer that was interrupted has left.

        Returns:
            The names of the files that stay, those of complete portions.
        """
        known = {name for portion in self.written().values() for name in portion.files}
        self.whole.remove("_temporary", recursive=True)  # Spark's
        try:
            found = self.whole.files()
        except NotFound:
            found = []
        for name in found:
            if name not in known:
                self.whole.remove(name)
        return known

    def record(self, number: int, before: set[str], rows: int) -> set[str]:
        """Record that a portion is written completely.

        Args:
            number: its number, from 0.
            before: the names of the files that were there before it.
            rows: its rows.

        Returns:
            The names of all files that are there now.
        """
        self.check()
        files = set(self.whole.files())
        record = Portion(files=sorted(files - before), rows=rows)
        record.write(self.staged.persistent(), f"{_PORTIONS}/{number:05}.json")
        return files

    def publish(self) -> None:
        """Publish complete scores by one rename. If it is interrupted, the same command does it again."""
        self.check()
        self.rename()
        HELD_TOKENS.discard(self.token)
        with contextlib.suppress(StorageError):  # what is left is removed after 30 days
            self.staged.remove(recursive=True)


APPENDED = "run="  # the folders of scores that were added to a folder; Spark reads a column of this name
