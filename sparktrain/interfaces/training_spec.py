"""The specification of an attempt's training: what the driver makes, its tasks carry, and every child trains by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sparktrain.interfaces.checkpoints import Checkpoint


@dataclass(frozen=True)
class Source:
    """Where the child process loads a function or a model of the user's from; exactly one of the first three is set.

    Attributes:
        function: `module:function`, looked up on the child's path.
        pickle: a function by value (`models.by_value`), from a notebook or a script.
        file: the URL of a `.keras` file.
        args: the function's keyword arguments.
        modules: modules to import first.
        objects: the custom objects of the file's model by their names in it, by value.
    """

    function: str | None = None
    pickle: str | None = None
    file: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    objects: str | None = None


@dataclass(frozen=True)
class Fit:
    """How to train; most fields are keys of the job's `training` section."""

    epochs: int
    batch_sizes: tuple[int, ...]  # rows a step of each part
    callbacks: Source | None = None
    learning_rate: float | None = None  # None: the model's own
    warmup_epochs: float | None = None  # None: the learning rate is not scaled
    early_stopping: dict[str, Any] | None = None  # arguments of keras.callbacks.EarlyStopping
    save: str = "last"  # last | best
    class_weight: dict[int, float] | None = None
    inputs_named: bool = False  # whether the features are named by the inputs' names
    label: str | None = None  # the first label's column
    outputs: tuple[str, ...] | None = None  # the outputs' names in the order of the labels, if the job names them
    average: str | int = "step"  # step: gradients; epoch, or a number of steps: weights
    rehearsal: bool = False  # one step, nothing saved
    keep_checkpoints: int = 0  # how many are kept; 0: none is written
    checkpoint_steps: int | None = None  # steps of an epoch between two checkpoints; None: only after each epoch
    resume: Checkpoint | None = None  # the checkpoint to resume from
    whole: bool = False  # whether each worker has all training rows
    ends_at: float | None = (
        None  # the time limit, in seconds since 1970 by the driver's clock: no epoch starts that would exceed it
    )
    then: str = "save"  # save | fail: at the time limit
    own_loop: bool = False  # whether the model is a function with its own training loop
    has_rows: bool = True  # for an own loop: whether there are any rows
    labelled: bool = True  # for an own loop: whether the rows have a label


@dataclass(frozen=True)
class Output:
    """The run's folder, as the workers open it.

    Attributes:
        url: its URL; rank 0 writes model.keras and logs/ there.
        hadoop: Hadoop's settings that the storage needs.
        token: of the driver's claim on the folder (storage.claims), which a worker must find there; empty if there is none.
    """

    url: str
    hadoop: dict[str, str] = field(default_factory=dict)
    token: str = ""


@dataclass(frozen=True)
class TrainingSpec:
    """The specification of an attempt's training, the same for all of its workers.

    Attributes:
        run: the run's id.
        engine: the engine's name.
        model: the function that builds the model, the model's file, or the user's own training function.
        fit: how to train.
        seed: the run's seed.
        output: the run's folder.
    """

    run: str
    engine: str
    model: Source
    fit: Fit
    seed: int
    output: Output
