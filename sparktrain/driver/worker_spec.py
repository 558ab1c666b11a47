"""What the workers are told of the rows and the classes: pure functions of the job and the prepared frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from sparktrain import feed
from sparktrain.config import ConfigError, Data, Job, Problem, Training
from sparktrain.data import ROW, VALIDATION, Prepared, UnfitColumn, arrow_type
from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import Fit, Source


def class_weights(training: Training, labels: Sequence | None) -> dict[int, float] | None:
    """The weight of each class by its index, as Keras takes it.

    Args:
        labels: what the indices stand for, by `label.classes` or by the pipeline that numbered them; None where the
            labels are their own indices.

    Raises:
        ConfigError: a label that isn't among them.
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
    """See that a frame read by `data.prepared` has the validation rows that the job goes by.

    Raises:
        ConfigError: it has none.
    """
    stop = training.early_stopping
    asked = [
        *(["training.save"] if training.save == "best" else []),
        *(["training.early_stopping.monitor"] if stop is not None and stop.monitor.startswith("val_") else []),
    ]
    if asked and not prepared.validation_rows:
        assert prepared.origin is not None  # what was read by `data.prepared` has one
        came = f"the frame at {prepared.origin['url']} has no validation rows to go by"
        hint = "set data.validation where it is prepared, or go by the training rows"
        raise ConfigError([Problem(key, came, "a data.prepared that has some", hint) for key in asked])


def layout(data: Data, classes: Sequence | None, sent: Mapping[str, str | None]) -> feed.Layout:
    """What a row of the prepared frame is to the model.

    Args:
        sent: how the frame's columns go to Python, as `data.pack` says.
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
    """See that the types of the frame's columns can be trained on, as far as they tell.

    Args:
        schema: of columns that training needs, or of some of them.
        classes: what the label column holds, in the order of the model's outputs; None where it holds numbers.

    Raises:
        UnfitColumn: a column's can't.
    """
    kinds = {}
    for field in schema.fields:
        try:
            kinds[field.name] = arrow_type(field.dataType)
        except PySparkException as error:
            raise UnfitColumn(
                f"column {field.name!r} ({field.dataType.simpleString()}): Spark can't hand this type to Python. "
                "Turn it into numbers in data.preprocess."
            ) from error
    try:
        feed.check_types(layout(data, classes, {}), kinds)
    except feed.BadInput as error:
        raise UnfitColumn(str(error)) from error


def rows_of_each(prepared: Prepared, workers: int, whole: bool) -> int | None:
    """About how many rows each worker will hold; None where they were not counted.

    Args:
        whole: whether each has all training rows.
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
    """Return how an attempt trains.

    Args:
        sizes: rows a step of each worker.
        labels: as for `class_weights`.
        resume: the checkpoint to resume from.
        callbacks: the user's, for the child to load.
        since: when the first attempt began, in seconds since 1970.
        rehearsal: whether one step is to be made, and nothing kept.
    """
    training, limit = job.training, job.training.limit
    return Fit(
        epochs=training.epochs_of_each(len(sizes)),
        batch_sizes=sizes,
        callbacks=callbacks,
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
