"""What a program hands over in place of the configuration's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Given:
    """What a program hands over in place of the configuration's names.

    Attributes:
        frame: the rows, in place of data.path, table or sql.
        model: a function that returns a compiled model, or a compiled model.
        preprocess: DataFrame, **args -> DataFrame.
        callbacks: a function that returns Keras callbacks.
    """

    frame: DataFrame | None = None
    model: Any = None
    preprocess: Callable[..., DataFrame] | None = None
    callbacks: Callable[..., list] | None = None
