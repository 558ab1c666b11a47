"""The result of a run: the content of its JSON line, and access to its model and its folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sparktrain.runs.json_text import without_nan
from sparktrain.runs.records.run import Line

if TYPE_CHECKING:
    from sparktrain.storage import Folder


@dataclass
class Result:
    """The result of a run.

    Attributes:
        run: the run's id; None if it ended before it had one.
        output: the URL of the run's folder; None if there is none.
        status: finished | checked | refused | failed | stopped.
        rows: training rows, after sampling.
        epochs: epochs trained.
        attempts: the number of attempts.
        seconds: wall time of the whole run.
        metrics: the metrics of the last epoch, or of the best with `save: best`, over all workers' rows.
        reason: why the run didn't finish.
        history: each metric's values, one an epoch.
        summary: the content of summary.json.
        prepared: the prepared rows, for further runs in the same Spark session.
        trials: of a search's best run, the record of each trial.
        folds: of a cross-validation, the result of each fold's run; `metrics` are then the means over the folds.
        deviations: of a cross-validation, the standard deviation of each metric over the folds.
    """

    run: str | None
    status: str
    output: str | None = None
    rows: int = 0
    epochs: int = 0
    workers: int = 0
    engine: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    history: dict[str, list[float]] = field(default_factory=dict, repr=False)
    summary: dict[str, Any] = field(default_factory=dict, repr=False)
    prepared: Any = field(default=None, repr=False)
    hadoop: dict[str, str] = field(default_factory=dict, repr=False)
    trials: list[dict[str, Any]] = field(default_factory=list, repr=False)
    folds: list[Result] = field(default_factory=list, repr=False)
    deviations: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any], output: str, **more: Any) -> Result:
        """Return the result of a finished run.

        Args:
            summary: the content of summary.json.
            output: the URL of the run's folder.
            more: fields that aren't in the summary: history, prepared, hadoop, trials, folds.
        """
        names = ("run", "status", "rows", "epochs", "workers", "engine", "attempts", "metrics")
        fields = {name: summary[name] for name in names}
        return cls(**fields, output=output, seconds=summary["wall"], summary=dict(summary), **more)

    @classmethod
    def of_folder(cls, folder: Folder, hadoop: Mapping[str, str]) -> Result:
        """Return the result of a finished run from its folder.

        Raises:
            StorageError: the storage can't be read.
        """
        from sparktrain.storage import SUMMARY

        return cls.of_summary(
            json.loads(folder.read_text(SUMMARY)), folder.url, history=saved_history(folder), hadoop=dict(hadoop)
        )

    @classmethod
    def of_line(cls, content: Mapping[str, Any]) -> Result:
        """Return the result from a JSON line's content; fields that it doesn't know are ignored."""
        return cls(**{name: content[name] for name in Line.model_fields if name in content and name != "version"})

    def line(self) -> Line:
        """Return the run's JSON line."""
        fields = {name: getattr(self, name) for name in Line.model_fields if name != "version"}
        return Line(
            **{
                **fields,
                "seconds": round(self.seconds, 3),
                "metrics": without_nan(self.metrics),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON line's content, with `reason` only if the run did not finish."""
        content = self.line().content()
        if self.reason is None:
            del content["reason"]
        return content

    def to_json(self) -> str:
        """Return the JSON line as text."""
        return json.dumps(self.to_dict())

    @property
    def model(self) -> Any:
        """The trained model, a compiled `keras.Model`, loaded anew at each access.

        Raises:
            TrainingError: its custom layers, losses or metrics can't be imported here; the message names them.
            ValueError: a cross-validation has no model of its own.
        """
        if self.folds:
            raise ValueError("a cross-validation has a model for each fold: expected result.folds[0].model, and so on")
        from sparktrain.models.custom_objects import load_model

        with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
            path = Path(folder, "model.keras")
            self._folder().download("model.keras", str(path))
            return load_model(path, self.summary.get("modules") or (), url=f"{self.output}/model.keras")

    def delete(self) -> None:
        """Remove the run's folder with everything in it."""
        self._folder().remove(recursive=True)

    def save(self, url: str) -> str:
        """Copy the run's folder to another place.

        Args:
            url: the folder to write the run's files into; it must not hold a run yet.

        Returns:
            The folder's URL.

        Raises:
            FileExistsError: the folder holds a run already.
            StorageError: the storage can't be read or written.
        """
        from sparktrain.storage import SUMMARY, open_folder

        target = open_folder(url, self.hadoop)
        if target.exists(SUMMARY):
            raise FileExistsError(f"{target.url} holds a run already: save to another folder")
        with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
            whole = Path(folder, "run")
            self._folder().download("", str(whole))
            for path in sorted(whole.iterdir(), key=lambda path: path.name == SUMMARY):
                target.upload(str(path), path.name)  # summary.json last: a folder that has it is complete
        return target.url

    def _folder(self) -> Folder:
        from sparktrain.storage import open_folder

        return open_folder(cast(str, self.output), self.hadoop)  # who asks for a model or a folder has one


def saved_history(folder: Folder) -> dict[str, list[float]]:
    """Return each metric's values, one an epoch, from a finished run's folder; empty if it has none.

    Raises:
        StorageError: the storage can't be read.
    """
    return json.loads(folder.read_text("history.json")) if folder.exists("history.json") else {}


def exit_status(result: Result) -> int:
    """Return the process's exit status: 0 for finished and checked, 2 for refused, 1 otherwise."""
    return {"finished": 0, "checked": 0, "refused": 2}.get(result.status, 1)
