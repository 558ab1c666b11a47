"""The schema of a model's inputs and outputs."""

from __future__ import annotations

from typing import Any, Literal

from sparktrain.runs.records.record import Record, Schema


class SignatureColumn(Schema):
    """How a column becomes an input, or a part of it."""

    column: str
    """The column's name, behind `data.preprocess` and the pipeline."""
    shape: list[int] | None = None
    """The shape that a row's array is given; null: the one that it has."""
    length: int | None = None
    """What sequences are padded or cut to, in items; null: they are not."""
    pad: float = 0
    """What short sequences are padded with."""
    side: Literal["pre", "post"] = "pre"
    """Where they are padded and cut: at the front (pre) or at the end (post)."""


class SignatureInput(Schema):
    """One of a model's inputs."""

    name: str
    """The model's own name for it; where it has none, that of the job's feature."""
    feature: str
    """The job's name for it."""
    shape: list[int]
    """The shape of a row."""
    dtype: str
    """NumPy's name of the type as it is fed, or string."""
    columns: list[SignatureColumn]
    """The columns that it is made of, side by side on the last axis."""
    example: Any = None
    """A row of training, as nested lists; null where the row has more than 10,000 numbers in all, or rank 0 had no rows."""


class SignatureOutput(Schema):
    """One of a model's outputs."""

    name: str
    """The model's own name for it; where it has none, output_0 and so on."""
    shape: list[int | None]
    """The shape of a row; null where a size isn't fixed."""
    dtype: str
    """NumPy's name of the type."""
    label: str | None = None
    """The column that it was trained to predict; null where that isn't known by the output's name or place."""
    classes: list[Any] | None = None
    """What its numbers stand for, in their order; null where they are the label's own."""
    meaning: Literal["classes", "logits", "values"] | None = None
    """What its numbers are, by the loss that it was trained with. classes: one for each class, or one for two classes; logits: the same,
    before softmax or the logistic function; values: anything else; null: not recorded, by an earlier sparktrain."""


class Signature(Record):
    """`signature.json`: what a run's model takes and gives, and how columns become its inputs."""

    inputs: list[SignatureInput]
    """In the model's order."""
    outputs: list[SignatureOutput]
    """In the model's order."""
    pipeline: bool
    """Whether the columns are those that the fitted pipeline beside the model makes."""
    preprocess: str | None = None
    """The function that made the frame which the pipeline, or the model, was given; null where there was none with a name."""

    def columns(self) -> list[str]:
        """Return the names of the columns that the inputs are made of, each once, in the inputs' order."""
        return list(dict.fromkeys(column.column for each in self.inputs for column in each.columns))
