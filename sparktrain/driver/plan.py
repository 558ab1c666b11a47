"""The driver's pure decisions: batch sizes, the feed's layout, which code to ship, what held a run back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence

from sparktrain import feed
from sparktrain.config import ConfigError, Data, Problem, Training
from sparktrain.data import VALIDATION
from sparktrain.interfaces.messages import Finished

if TYPE_CHECKING:
    from sparktrain.config import Job
    from sparktrain.driver.run import Given


def class_weights(training: Training, classes: Sequence | None) -> dict[int, float] | None:
    """The weight of each class by its index, as Keras takes it; labels without `classes` are their own index.

    Raises:
        ConfigError: a label that the classes haven't.
    """
    if training.class_weight is None:
        return None
    if classes is None:
        return {int(label): weight for label, weight in training.class_weight.items()}
    unknown = [label for label in training.class_weight if label not in classes]
    if unknown:
        raise ConfigError([Problem("training.class_weight", f"came with {unknown}", f"labels among {list(classes)}")])
    return {list(classes).index(label): weight for label, weight in training.class_weight.items()}


def layout(data: Data, classes: Sequence | None) -> feed.Layout:
    """What a row of the prepared frame is to the model."""
    return feed.Layout(
        inputs=tuple(
            feed.Input(
                name=given.name,
                columns=tuple(
                    feed.Column(name=c.column, shape=c.shape, length=c.length, pad=c.pad, side=c.side) for c in given.columns
                ),
            )
            for given in data.inputs
        ),
        label=data.label_column,
        classes=tuple(classes) if classes is not None else None,
        weight=data.weight,
        validation=VALIDATION,
    )


def modules_of(job: Job, given: Given) -> list[str]:
    """The modules whose functions a run calls on the executors or in the workers."""
    named = [job.data.preprocess, job.model.build, job.training.callbacks]
    functions = [given.preprocess, given.model, given.callbacks]
    return [name.partition(":")[0] for name in named if name is not None] + [
        function.__module__
        for function in functions
        if hasattr(function, "__qualname__") and function.__module__ != "__main__"
    ]


_MEANING = {
    "slots": "waiting for executors",
    "prepare": "Spark's preparation of the rows: more executors, or fewer columns",
    "fill": "reading, shuffling and writing the segments: more executors, or a smaller sample",
    "start workers": "starting the workers",
    "train": "training itself: more workers, a larger batch, or GPUs",
    "save": "saving to the storage",
}


def held_back_by(seconds: Mapping[str, float], finished: Sequence[Finished]) -> str:
    """The longest phase, in words; where it is training and the workers waited for rows, that."""
    phase = max(seconds, key=lambda name: seconds[name])
    whole = sum(seconds.values())
    share = seconds[phase] / whole if whole else 0.0
    waited = max((f.seconds.get("wait_rows", 0.0) for f in finished), default=0.0)
    if phase == "train" and waited > seconds["train"] / 2:
        return f"waiting for rows ({waited:.1f} s of {seconds['train']:.1f} s of training): faster local disks"
    return f"{_MEANING[phase]} ({share:.0%} of {whole:.0f} s)"
