"""Draws pictures: a run's history."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that no window shows.

    Raises:
        ModuleNotFoundError: matplotlib, which is an extra of sparktrain's, isn't installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("matplotlib is not installed: pip install 'sparktrain[plots]'") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG image."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    return image.getvalue()


def curves(history: Mapping[str, list[float]]) -> bytes:
    """Return a PNG image of the history: a plot for each metric by epoch, with its validation values.

    Raises:
        ModuleNotFoundError: matplotlib isn't installed.
    """
    names = [name for name in history if not name.startswith("val_")]
    figure = new_figure(4.5 * max(1, len(names)), 3.2)
    for place, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), place + 1, title=name, xlabel="epoch")
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], marker="o", label=label)
        cast("MaxNLocator", axes.xaxis.get_major_locator()).set_params(integer=True)  # matplotlib's default is one
        axes.legend()
    return png(figure)
