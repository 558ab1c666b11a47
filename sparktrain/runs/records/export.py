"""The schema of what an export records."""

from __future__ import annotations

from sparktrain.runs.records.record import Record, Schema


class ExportedTensor(Schema):
    """A column that goes into an exported model, or a score that comes out."""

    name: str
    """Its name in the signature."""
    dtype: str
    """TensorFlow's name of the type."""
    shape: list[int | None]
    """The shape with its rows; null where a size isn't fixed."""


class ExportRecord(Record):
    """`sparktrain/export.json` of an export. A folder that has this file is complete."""

    run: str
    """The URL of the run's folder."""
    format: str
    """savedmodel, onnx or keras."""
    exported: str
    """When it was exported, ISO 8601, UTC."""
    columns: list[ExportedTensor]
    """What goes in: columns behind `data.preprocess`, and behind the stages that were left out."""
    scores: list[ExportedTensor]
    """What comes out; of a Keras file, what sparktrain.score makes of its outputs."""
    preprocess: str | None
    """The function that made the frame which the columns are of; null where there was none with a name."""
    stages: list[str]
    """The stages of the run's pipeline in front of the model."""
    left_out: list[str]
    """The stages that have to be applied before."""
    rows_compared: int
    """Rows whose scores were compared with Spark's."""
    greatest_difference: float
    """The greatest difference of a number from Spark's."""
    metrics: dict[str, float | None]
    """The run's metrics."""
    files: dict[str, str]
    """The SHA-256 of each of the other files."""
    versions: dict[str, str]
    """The versions of sparktrain, Keras, TensorFlow and, where it was used, ONNX."""
