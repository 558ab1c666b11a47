"""Formats numbers for people."""

from __future__ import annotations

import math


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where needed: 1 worker, 2 workers."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def figure(value: float | None) -> str:
    """Format a metric: four decimals, or four significant digits below 0.1."""
    if value is None:  # NaN, which JSON doesn't have
        return "nan"
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.1 or math.isnan(value) else f"{value:.4g}"


def place(epoch: int, of_epochs: int, step: int, of_steps: int, rows_per_second: float | None, loss: float | None) -> list[str]:
    """Return phrases for the progress of training: epoch, step, rows a second, loss."""
    parts = [f"epoch {epoch}/{of_epochs}", f"step {step}/{of_steps}"]
    if rows_per_second is not None:
        parts.append(f"{rows_per_second:,.0f} rows/s")
    if loss is not None:
        parts.append(f"loss {figure(loss)}")
    return parts
