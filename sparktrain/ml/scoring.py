"""Scores the rows of a frame with a run's model, on the executors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pyspark.sql import DataFrame

from sparktrain.ml.frame_scorer import FrameScorer
from sparktrain.runs.result import Result


def score(
    frame: DataFrame,
    model: str | Result,
    *,
    output: str | Sequence[str] = "prediction",
    keep: Sequence[str] | None = None,
    batch_size: int | Literal["auto"] = "auto",
    nulls: str = "refuse",
) -> DataFrame:
    """Return a frame with a trained model's predictions beside its rows.

    The columns become the model's inputs as they did in training: by the run's fitted pipeline, which is applied here, with the
    same order, padding and shapes. The executors load the model from the storage, once a Python process, and call it with Arrow
    batches; nothing goes through the driver, and nothing is computed before the returned frame is.

    Args:
        frame: rows with the columns that the run's pipeline, or the model if there is none, was trained with: what
            `data.preprocess` made of the source in training, it must make here, too.
        model: a run's result, or the URL of a run's folder or of `…/latest`.
        output: what comes out, one or several of: `prediction`, the class (as in the label, or its number where the classes
            aren't known) or the number itself if the model was trained on numbers; `index`, the number of the class;
            `probability`, the model's numbers if they are probabilities (from logits, by softmax or the logistic function);
            `raw`, the model's numbers as they are. A model with several outputs gives a column for each, such as
            `prediction_late`.
        keep: the frame's columns to keep; all of them if left out.
        batch_size: rows that the model is called with at a time; `auto`: 1024, or fewer where they take more than 32 MiB.
        nulls: `refuse` ends with an error that names the column at the first row with a null; `keep` gives such rows a null.

    Returns:
        The kept columns and the outputs: a float (float32) or an array of them for `probability` and `raw`, and for `prediction` a
        value of the label's type, or a double.

    Raises:
        ConfigError: an argument can't be used.
        StorageError: there is no such finished run.
        InputError: the run has no signature, or the pipeline can't be applied.
        MissingColumn: the frame lacks columns that the model was trained with, or they have other types.

    Example:
        >>> late = sparktrain.score(flights, "hdfs:///models/late/latest", keep=["flight_id"])   # doctest: +SKIP
    """
    scorer = FrameScorer(frame.sparkSession, model, output=output, keep=keep, batch_size=batch_size, nulls=nulls)
    return scorer(frame)
