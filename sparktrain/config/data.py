"""The section `data` of a job: its rows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from sparktrain.config.inputs import Features, InputSpec, Label, LabelForm, specs
from sparktrain.config.kinds import Class, Count, Part, Paths, Section, Share, Text, Whole
from sparktrain.config.source import RowSource


class Validation(Section):
    """Which rows are kept for validation: exactly one of `fraction`, `folds`, `where` and `path`."""

    fraction: Part | None = None
    """The share of the rows, chosen by the hash of their content."""
    folds: Annotated[Count, Field(ge=2)] | None = None
    """The number of parts that the rows are divided into by the hash of their content, for cross-validation: so many models are
    trained, each validated on one part and trained on all others."""
    fold: Annotated[Whole, Field(ge=0)] | None = None
    """With `folds`: the part, from 0, that one single model is validated on, instead of cross-validation."""
    parallel: Count | None = None
    """With `folds`: how many of the models train at the same time, each on as many workers as the job has; 1 if left out."""
    by: Text | None = None
    """With `fraction` or `folds`: a column; rows with the same value in it are all in the same part."""
    where: Text | None = None
    """A SQL condition; rows that fulfil it are the validation rows."""
    path: Paths | None = None
    """Separate files with the validation rows, read like `data.path`: a URL or a list of URLs."""

    @property
    def share(self) -> float | None:
        """The share of the rows that is for validation; None where a condition or files determine them."""
        return self.fraction if self.folds is None else 1 / self.folds

    @property
    def bounds(self) -> tuple[float, float]:
        """With `fraction` or one `fold`: between which shares of all rows, by their hash, the validation rows are."""
        if self.folds is None:
            return 0.0, self.fraction or 0.0
        assert self.fold is not None  # each model of a cross-validation has its own
        return self.fold / self.folds, (self.fold + 1) / self.folds

    @property
    def crosses(self) -> bool:
        """Whether it stands for cross-validation, which trains several models."""
        return self.folds is not None and self.fold is None


class Sample(Section):
    """Which training rows to sample: exactly one of these."""

    fraction: Share | None = None
    """The share of the training rows."""
    per_class: Count | None = None
    """The number of rows of each class; a class with fewer rows keeps all."""
    fractions: Annotated[dict[Class, Share], Field(min_length=1)] | None = None
    """The share of the rows of each class that is named; other classes keep all their rows."""

    @property
    def way(self) -> tuple[str, Any]:
        """The key that is set, and its value."""
        return next((name, value) for name, value in self if value is not None)


class Data(RowSource):
    """The rows: their source, their preparation, and the columns that the model is given.

    The source is exactly one of `path`, `table`, `sql` and `prepared`.
    """

    SOURCES: ClassVar[tuple[str, ...]] = (*RowSource.SOURCES, "prepared")

    prepared: Text | None = None
    """The URL of a prepared frame that jobs/prepare.py has written. It includes validation rows, pipeline and sampling; of this
    section, only `features`, `label`, `weight` and `keep` can be set with it."""
    validation: Validation | None = None
    """Rows to validate the model on, set aside before anything is fitted or sampled. Without it, there are none."""
    pipeline: Text | None = None
    """The URL of a saved Spark ML Pipeline, fitted on the training rows, or of a fitted PipelineModel."""
    keep: Literal["disk", "storage", "none"] = "disk"
    """Where the prepared frame is kept. disk: on the executors' disks, if it is read more than once (to fit a pipeline, to
    sample, to distribute rows to several workers) and reading its source again would take longer. storage: on the output's
    storage, as Parquet, until the run ends. none: nowhere."""
    sample: Sample | None = None
    """Which training rows to sample; validation rows are never sampled. Without it, all are used."""
    features: Features
    """The columns of the model's inputs: in the inputs' order, or by the inputs' names."""
    label: LabelForm
    """The column to predict, the column and its classes, or the columns for a model with several outputs: in the outputs'
    order, or by their names; classes are sampled by the first."""
    weight: Text | None = None
    """A column with the rows' weights in the loss."""

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The model's inputs, in their order, whichever form `features` has."""
        return specs(self.features)

    @property
    def label_column(self) -> str:
        """The column of the model's first output."""
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
        """The names of the model's outputs, in the order of `labels`; None if the job doesn't name them."""
        return tuple(self.label) if isinstance(self.label, dict) else None

    @property
    def classes(self) -> list[bool | int | str] | None:
        """The label's classes in the order of the model's outputs; None if the job doesn't name them."""
        return self.label.classes if isinstance(self.label, Label) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that training needs, each once: of the inputs, the labels and the weight."""
        needed = [spec.column for one in self.inputs for spec in one.columns] + [self.label_column, *self.more_labels]
        return tuple(dict.fromkeys(needed if self.weight is None else [*needed, self.weight]))
