"""What every benchmark leaves: a table on the screen, and the same table with a picture in benchmarks/results/."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Measured:
    """One way of doing it, timed several times, in turn with the others of the same run."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True)
class Target:
    """A ratio of two medians, and the bound that it is held against."""

    what: str
    ratio: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.ratio <= self.bound if self.at_most else self.ratio >= self.bound


def report(name: str, question: str, measured: Sequence[Measured], targets: Sequence[Target]) -> None:
    """Print the table, and write `results/NAME.md` and `results/NAME.png`."""
    lines = [
        f"# {question}",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. "
        f"Made by `{' '.join(['python', f'benchmarks/{name}.py', *sys.argv[1:]])}`; all of it in one run, the ways in "
        "turn or side by side.",
        "",
        "| way | median | lowest | highest | unit |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    lines += [f"| {m.name} | {m.median:,.1f} | {min(m.values):,.1f} | {max(m.values):,.1f} | {m.unit} |" for m in measured]
    lines += ["", "| target | ratio of medians | bound | met |", "| --- | ---: | ---: | --- |"]
    lines += [
        f"| {t.what} | {t.ratio:.2f} | {'at most' if t.at_most else 'at least'} {t.bound} | {'yes' if t.met else 'no'} |"
        for t in targets
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    _draw(RESULTS / f"{name}.png", question, measured)


def _draw(path: Path, question: str, measured: Sequence[Measured]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    units = list(dict.fromkeys(m.unit for m in measured))
    figure = Figure(figsize=(8, 0.6 * len(measured) + 1.1 * len(units)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(question)
    heights = [sum(m.unit == unit for m in measured) for unit in units]
    panels = figure.subplots(len(units), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, unit in zip(panels, units):
        ways = [m for m in measured if m.unit == unit][::-1]
        bars = axes.barh(
            [m.name for m in ways],
            [m.median for m in ways],
            xerr=[[m.median - min(m.values) for m in ways], [max(m.values) - m.median for m in ways]],
        )
        axes.bar_label(bars, [f" {m.median:,.1f}" for m in ways], padding=12)
        axes.set_xlabel(unit)
        axes.margins(x=0.18)
    figure.savefig(path, dpi=100)
