"""What a job says of its rows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from sparktrain.config.inputs import Features, InputSpec, Label, LabelForm, specs
from sparktrain.config.kinds import Args, Class, Count, Function, Part, Paths, Section, Share, Text


class Validation(Section):
    """Which rows are kept for validation: exactly one of `fraction`, `where` and `path`."""

    fraction: Part | None = None
    """The share of the rows, chosen by the hash of their content."""
    by: Text | None = None
    """A column: rows with the same value of it stay together, on one side. With `fraction`."""
    where: Text | None = None
    """A SQL condition that the validation rows fulfil."""
    path: Paths | None = None
    """Files of their own, read like `data.path`: a URL or a list of URLs."""


class Sample(Section):
    """Which training rows are taken: exactly one of `fraction`, `per_class` and `fractions`."""

    fraction: Share | None = None
    """The share of the training rows."""
    per_class: Count | None = None
    """Rows of each class; a class that has fewer is taken whole."""
    fractions: Annotated[dict[Class, Share], Field(min_length=1)] | None = None
    """A share of each class named; classes not named are taken whole."""


class Data(Section):
    """The rows: where they come from, what is done with them, and what of them the model sees.

    Exactly one of `path`, `table`, `sql` and `prepared` says where they come from.
    """

    path: Paths | None = None
    """The files: a URL or a list of URLs, such as hdfs:///data/flights."""
    table: Text | None = None
    """A table of Spark's catalog."""
    sql: Text | None = None
    """A query in Spark's SQL."""
    prepared: Text | None = None
    """The URL of a frame that jobs/prepare.py has written. Validation rows, pipeline and sample are the frame's; of this
    section only `features`, `label`, `weight` and `keep` go with it."""
    format: Text = "parquet"
    """The files' format: parquet, orc, avro, csv, json, tfrecord, or any other that Spark has a reader for, such as text,
    binaryFile, libsvm, or delta with its package."""
    options: dict[str, StrictStr | StrictInt | StrictFloat | StrictBool] = {}
    """Options of Spark's reader for the format, such as {header: true} for csv."""
    ddl: Text | None = Field(None, alias="schema")
    """The files' columns and types as Spark's DDL, such as "id BIGINT, text STRING"; parquet, orc and avro bring theirs.
    Without it, found by reading the files."""
    where: Text | None = None
    """A SQL condition; only rows that fulfil it are kept."""
    preprocess: Function | None = None
    """A function `DataFrame, **args -> DataFrame`, run on the executors."""
    args: Args = {}
    """Keyword arguments of `preprocess`."""
    validation: Validation | None = None
    """Rows that are kept aside, before anything is fitted or sampled, to measure the model on. Without it, none."""
    pipeline: Text | None = None
    """The URL of a saved Spark ML Pipeline, fitted on the training rows, or of a fitted PipelineModel."""
    keep: Literal["disk", "storage", "none"] = "disk"
    """Where the prepared frame is kept: on the executors' disks, if it is read more than once (a pipeline to be fitted,
    a sample, several workers to be dealt to) and reading its source again would take longer; on the output's storage,
    as Parquet, while the run goes on; or nowhere."""
    corrupt: Literal["fail", "skip"] = "fail"
    """What to do with files and records that can't be read: fail, or skip and count them."""
    sample: Sample | None = None
    """Which training rows are taken; validation rows are never sampled. Without it, all."""
    features: Features
    """The columns of the model's inputs: in the inputs' order, or by the inputs' names."""
    label: LabelForm
    """The column to be predicted, the column and its classes, or the columns of a model with several outputs: in their
    order, or by the outputs' names; sampling goes by the first."""
    weight: Text | None = None
    """A column with the rows' weights in the loss."""

    @property
    def schema(self) -> str | None:  # type: ignore[override]  # see below
        """The files' columns and types as Spark's DDL. (pydantic's own BaseModel.schema is an old name.)"""
        return self.ddl

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The model's inputs, in their order, whichever form `features` has."""
        return specs(self.features)

    @property
    def label_column(self) -> str:
        return self.labels[0]

    @property
    def more_labels(self) -> tuple[str, ...]:
        """The columns of the model's second and further outputs."""
        return self.labels[1:]

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of all outputs."""
        if isinstance(self.label, Label):
            return (self.label.column,)
        if isinstance(self.label, dict):
            return tuple(self.label.values())
        return tuple(self.label) if isinstance(self.label, list) else (self.label,)

    @property
    def outputs(self) -> tuple[str, ...] | None:
        """The names of the model's outputs, as `labels` has their columns; None where the job doesn't name them."""
        return tuple(self.label) if isinstance(self.label, dict) else None

    @property
    def classes(self) -> list[bool | int | str] | None:
        """The label's classes in the order of the model's outputs, where the job names them."""
        return self.label.classes if isinstance(self.label, Label) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that training needs: of the inputs, the labels and the weight, each once."""
        needed = [spec.column for one in self.inputs for spec in one.columns] + [self.label_column, *self.more_labels]
        return tuple(dict.fromkeys(needed if self.weight is None else [*needed, self.weight]))
