"""The driver's pure decisions: class weights, the feed's layout, which code to ship, what held a run back."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from sparktrain import feed
from sparktrain.config import ConfigError, Data, Problem, Training
from sparktrain.data import ROW, VALIDATION, Prepared, UnfitColumn, arrow_type
from sparktrain.training.custom_objects import SCRIPT

if TYPE_CHECKING:
    from sparktrain.config import Job
    from sparktrain.driver.given import Given


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
    known = {label: index for index, label in enumerate(labels or ())}
    unknown = [label for label in training.class_weight
               if (label not in known if labels is not None else not isinstance(label, int))]
    if unknown:
        allowed = f"labels among {list(known)}" if labels is not None else "whole numbers, as the label column has"
        raise ConfigError([Problem("training.class_weight", f"came with {unknown}", allowed)])
    return {known.get(label, label): weight for label, weight in training.class_weight.items()}


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
            raise UnfitColumn(f"column {field.name!r} ({field.dataType.simpleString()}): Spark can't hand this type to Python. "
                              "Turn it into numbers in data.preprocess.") from error
    try:
        feed.check_types(layout(data, classes, {}), kinds)
    except feed.BadInput as error:
        raise UnfitColumn(str(error)) from error


def rows_of_each(prepared: Prepared, workers: int, whole: bool) -> int | None:
    """About how many rows each worker will hold; None where they were not counted.

    Args:
        whole: whether each has all training rows.
    """
    if prepared.rows is None:
        return None
    return prepared.rows // (1 if whole else workers) + prepared.validation_rows // workers


def uneven_notes(rows: Sequence[int]) -> list[str]:
    """Tell of a worker that has much more training rows than the others, which wait for it in every epoch.

    Args:
        rows: training rows of each worker.
    """
    mean = sum(rows) / len(rows)
    if max(rows) <= 1.3 * mean:
        return []
    return [f"the workers' training rows are uneven: the largest has {max(rows):,}, {max(rows) / mean:.2f} times the mean of "
            f"{mean:,.0f}, and an epoch takes as many steps as its rows do"]


def modules_of(job: Job, given: Given) -> list[str]:
    """The modules whose functions a run calls on the executors or in the workers."""
    named = [job.data.preprocess, job.model.build, job.training.callbacks]
    modules = [*(name.partition(":")[0] for name in named if name is not None), *job.model.modules]
    for function in (given.preprocess, given.model, given.callbacks):
        if hasattr(function, "__qualname__"):
            modules += _modules_behind(function)
    return list(dict.fromkeys(modules))


def modules_needed(custom_objects: Mapping[str, str], named: Sequence[str]) -> list[str]:
    """The modules that a saved model's own classes and functions are in; of a script or a notebook there is none.

    Args:
        custom_objects: to their modules.
        named: by the job, which are needed where there are any.
    """
    if not custom_objects:
        return []
    return [name for name in dict.fromkeys([*named, *custom_objects.values()]) if name != SCRIPT]


def _modules_behind(function: Callable[..., Any]) -> list[str]:
    """A function's own module; of a script's or a notebook's, which goes by value, those of all that it may refer to."""
    if function.__module__ != "__main__":
        return [function.__module__]
    names = (getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None)
             for value in getattr(function, "__globals__", {}).values())
    return [name for name in names if isinstance(name, str) and name not in ("__main__", "builtins")]


_MEANING = {
    "slots": "waiting for executors",
    "prepare": "Spark's preparation of the rows: more executors, or fewer columns",
    "fill": "reading, shuffling and writing the segments: more executors, or a smaller sample",
    "start workers": "starting the workers",
    "train": "training itself: more workers, a larger batch, or GPUs",
    "save": "saving to the storage",
}


def held_back_by(seconds: Mapping[str, float]) -> str:
    """The longest phase, in words."""
    phase = max(seconds, key=lambda name: seconds[name])
    whole = sum(seconds.values())
    return f"{_MEANING[phase]} ({seconds[phase] / whole if whole else 0:.0%} of {whole:.0f} s)"
