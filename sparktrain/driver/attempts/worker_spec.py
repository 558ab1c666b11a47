"""Specifies the workers' training, from the job and the prepared frame: layout of the rows, class weights, Fit. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from sparktrain import feed
from sparktrain.config import ConfigError, Data, Job, Problem, Training
from sparktrain.data import ROW, VALIDATION, Prepared, UnfitColumn, arrow_type
from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.training_spec import Fit, Source


def class_weights(training: Training, labels: Sequence | None) -> dict[int, float] | None:
    """Return the weight of each class by its index, as Keras expects it; None if the job has no class weights.

    Args:
        labels: the classes by their indices, from `label.classes` or the pipeline; None if the labels are the indices.

    Raises:
        ConfigError: the job weights a label that isn't among them.
    """
    if training.class_weight is None:
        return None
    known: dict[Any, int] = {label: index for index, label in enumerate(labels or ())}
    unknown = [
        label for label in training.class_weight if (label not in known if labels is not None else not isinstance(label, int))
    ]
    if unknown:
        allowed = f"labels among {list(known)}" if labels is not None else "whole numbers, as the label column has"
        raise ConfigError([Problem("training.class_weight", f"came with {unknown}", allowed)])
    return {known[label] if labels is not None else cast(int, label): weight for label, weight in training.class_weight.items()}


def refuse_unvalidated(training: Training, prepared: Prepared) -> None:
    """Check that a frame read by `data.prepared` has validation rows if the job's `save` or early stopping needs them.

    Raises:
        ConfigError: the frame has none.
    """
    stop = training.early_stopping
    asked = [
        *(["training.save"] if training.save == "best" else []),
        *(["training.early_stopping.monitor"] if stop is not None and stop.monitor.startswith("val_") else []),
    ]
    if asked and not prepared.validation_rows:
        assert prepared.origin is not None  # what was read by `data.prepared` has one
        came = f"the frame at {prepared.origin['url']} has no validation rows"
        hint = "set data.validation where the rows are prepared, or use metrics of the training rows"
        raise ConfigError([Problem(key, came, "a data.prepared that has some", hint) for key in asked])


def layout(data: Data, classes: Sequence | None, sent: Mapping[str, str | None] | None) -> feed.Layout:
    """Return how the columns of the prepared frame map to the model's inputs, label and weight.

    Args:
        classes: the label's classes in the order of the model's outputs; None if the label holds numbers.
        sent: how the frame's columns are sent to Python, from `data.pack`; None if they aren't packed.
    """
    return feed.Layout(
        inputs=tuple(
            feed.Input(
                name=given.name,
                columns=tuple(
                    feed.Column(name=c.column, shape=c.shape, length=c.length, pad=c.pad, side=c.side) for c in given.columns
                ),
            )
            for given in data.inputs
        )
        + tuple(feed.Input(feed.MORE_LABEL + name, (feed.Column(name),)) for name in data.more_labels),
        label=data.label_column,
        classes=tuple(classes) if classes is not None else None,
        weight=data.weight,
        validation=VALIDATION,
        order=ROW,
        sent=sent,
    )


def refuse_unfit_types(data: Data, schema: StructType, classes: Sequence | None) -> None:
    """Check that the types of the frame's columns can be trained on.

    Args:
        schema: the schema of columns that training needs, or of some of them.
        classes: the label's classes in the order of the model's outputs; None if the label holds numbers.

    Raises:
        UnfitColumn: a column has a type that can't be trained on.
    """
    types = {}
    for field in schema.fields:
        try:
            types[field.name] = arrow_type(field.dataType)
        except PySparkException as error:
            raise UnfitColumn(
                f"column {field.name!r} ({field.dataType.simpleString()}): Spark can't send this type to Python. "
                "Convert it to numbers in data.preprocess."
            ) from error
    try:
        feed.check_types(layout(data, classes, {}), types)
    except feed.BadInput as error:
        raise UnfitColumn(str(error)) from error


def rows_of_each(prepared: Prepared, workers: int, whole: bool) -> int | None:
    """Return about how many rows each worker will hold; None if they were not counted.

    Args:
        whole: whether each worker has all training rows.
    """
    if prepared.rows is None or prepared.validation_rows is None:
        return None
    return share_of_rows(prepared.rows, prepared.validation_rows, workers, whole)


def share_of_rows(rows: int, validation_rows: int, workers: int, whole: bool) -> int:
    """Return about how many of all rows each worker will hold; see `rows_of_each`."""
    return rows // (1 if whole else workers) + validation_rows // workers


def fit_of(
    job: Job,
    sizes: tuple[int, ...],
    labels: Sequence | None,
    resume: Checkpoint | None,
    callbacks: Source | None,
    since: float,
    rehearsal: bool,
) -> Fit:
    """Return how an attempt trains, as the message to its child processes.

    Args:
        sizes: rows a step of each worker.
        labels: as for `class_weights`.
        resume: the checkpoint to resume from; None to start from the beginning.
        callbacks: where the child process loads the user's callbacks from.
        since: when the first attempt began, in seconds since 1970.
        rehearsal: whether to make one step only, and keep nothing.
    """
    training, limit = job.training, job.training.limit
    return Fit(
        epochs=training.epochs_of_each(len(sizes)),
        batch_sizes=sizes,
        callbacks=callbacks,
        learning_rate=training.learning_rate,
        warmup_epochs=training.scale_learning_rate.warmup_epochs if training.scale_learning_rate else None,
        early_stopping=training.early_stopping.model_dump(exclude_none=True) if training.early_stopping else None,
        save=training.save,
        class_weight=class_weights(training, labels),
        inputs_named=isinstance(job.data.features, dict),
        label=job.data.label_column,
        outputs=job.data.outputs,
        average=training.average,
        rehearsal=rehearsal,
        keep_checkpoints=training.checkpoint.keep if training.checkpoint is not None and not rehearsal else 0,
        checkpoint_steps=training.checkpoint.steps if training.checkpoint is not None else None,
        resume=resume,
        whole=training.split == "epochs",
        ends_at=None if limit is None else since + 60 * limit.minutes,
        then="save" if limit is None else limit.then,
    )
