"""Draws a run's history."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import cast


def curves(history: Mapping[str, list[float]]) -> bytes:
    """Return a PNG image of the history: a plot for each metric by epoch, with its validation values."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = [name for name in history if not name.startswith("val_")]
    figure = Figure(figsize=(4.5 * max(1, len(names)), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), place + 1, title=name, xlabel="epoch")
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], marker="o", label=label)
        cast(MaxNLocator, axes.xaxis.get_major_locator()).set_params(integer=True)  # matplotlib's default is one
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
