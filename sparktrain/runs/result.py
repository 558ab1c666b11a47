"""How a run ended: the content of its JSON line, with the way to its model and its folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sparktrain.runs.json_text import finite
from sparktrain.runs.records import Line

if TYPE_CHECKING:
    from sparktrain.storage import Folder


@dataclass
class Result:
    """How a run ended.

    Attributes:
        run: its id; None where it ended before it had one.
        output: the URL of its folder; None where there is none.
        status: finished | checked | refused | failed | stopped.
        rows: training rows, after sampling.
        epochs: epochs trained.
        attempts: how often it was tried.
        seconds: wall time of the whole run.
        metrics: of the last epoch, or of the best with `save: best`; over all workers' rows.
        reason: why it didn't finish.
        history: metric by epoch.
        summary: what summary.json holds.
        prepared: the rows as they were prepared, while the Spark session lives.
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

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any], output: str, **more: Any) -> Result:
        """The result of a finished run.

        Args:
            summary: what summary.json holds.
            output: the URL of the run's folder.
            more: what isn't in the summary: history, prepared, hadoop.
        """
        names = ("run", "status", "rows", "epochs", "workers", "engine", "attempts", "metrics")
        told = {name: summary[name] for name in names}
        return cls(**told, output=output, seconds=summary["wall"], summary=dict(summary), **more)

    @classmethod
    def of_line(cls, content: Mapping[str, Any]) -> Result:
        """The result of a JSON line's content, whatever else is in it."""
        return cls(**{name: content[name] for name in Line.model_fields if name in content and name != "version"})

    def line(self) -> Line:
        """Return the run's JSON line."""
        fields = {name: getattr(self, name) for name in Line.model_fields if name != "version"}
        return Line(
            **{
                **fields,
                "seconds": round(self.seconds, 3),
                "metrics": {name: finite(value) for name, value in self.metrics.items()},
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON line's content; `reason` is there only where the run did not finish."""
        content = self.line().content()
        if self.reason is None:
            del content["reason"]
        return content

    def to_json(self) -> str:
        """Return the JSON line."""
        return json.dumps(self.to_dict())

    @property
    def model(self) -> Any:
        """The trained model, a plain compiled `keras.Model`, loaded anew at each call.

        Raises:
            TrainingError: it has layers, losses or metrics of its own that aren't at hand here; the message names them.
        """
        from sparktrain.models.custom_objects import load_model

        with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
            path = Path(folder, "model.keras")
            self._folder().download("model.keras", str(path))
            return load_model(path, self.summary.get("modules") or (), url=f"{self.output}/model.keras")

    def delete(self) -> None:
        """Remove the run's folder and all that is in it."""
        self._folder().remove(recursive=True)

    def save(self, url: str) -> str:
        """Keep the run's folder at another place.

        Args:
            url: the folder that the run's files are written into; it must not hold a run yet.

        Returns:
            The URL.
        """
        from sparktrain.storage import SUMMARY, open_folder

        target = open_folder(url, self.hadoop)
        if target.exists(SUMMARY):
            raise FileExistsError(f"{target.url} holds a run already: save to another folder")
        with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
            whole = Path(folder, "run")
            self._folder().download("", str(whole))
            for path in sorted(whole.iterdir(), key=lambda path: path.name == SUMMARY):
                target.upload(str(path), path.name)  # summary.json last: complete is what has it
        return target.url

    def _folder(self) -> Folder:
        from sparktrain.storage import open_folder

        return open_folder(cast(str, self.output), self.hadoop)  # who asks for a model or a folder has one


def exit_status(result: Result) -> int:
    return {"finished": 0, "checked": 0, "refused": 2}.get(result.status, 1)
