"""The messages between driver, task and child: plain dataclasses, sent as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
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
    # The time limit: no epoch starts that would exceed it. In seconds since 1970 by the driver's clock; in an Order, as the
    # workers' clocks may differ, in seconds of the monotonic clock of the worker's host.
    ends_at: float | None = None
    then: str = "save"  # save | fail: at the time limit
    own_loop: bool = False  # whether the model is a function with its own training loop
    has_rows: bool = True  # for an own loop: whether there are any rows
    labelled: bool = True  # for an own loop: whether the rows have a label


WEIGHTS = "model.weights.h5"  # in the run's folder: the weights of a trained model that can't be saved


def returned_name(rank: int) -> str:
    """Return the name of the file in the run's folder with the return value of a worker's own loop."""
    return f"returned-{rank}.pickle"


@dataclass(frozen=True)
class Order:
    """A task's order to its child once the rows are in segments: one JSON line on the child's standard input."""

    run: str
    engine: str
    rank: int
    size: int
    part: int  # the part of the frame that this worker has; ranks may change between attempts, parts don't
    environment: dict[str, str]  # from the engine's `Launch.join`
    feed: dict[str, Any]  # the description of this worker's segments (feed.Shard.to_json)
    model: Source
    fit: Fit
    seed: int
    output: str  # the URL of the folder that rank 0 writes model.keras and logs/ to
    hadoop: dict[str, str]  # Hadoop's settings that storage needs
    token: str = ""  # of the driver's claim on that folder (storage.claims), which every write there checks


@dataclass(frozen=True)
class OutputCheck:
    """A task's request to its child, before the order: to check that it shares the output folder with the driver."""

    output: str
    hadoop: dict[str, str]
    token: str  # of the driver's claim, which must be found in the folder


@dataclass(frozen=True)
class Phase:
    """A worker has entered a phase: start, fill, join, build, train (run for the user's own loop), save, done."""

    name: str


@dataclass(frozen=True)
class Filling:
    """A worker's progress in filling: rows and bytes so far, and bytes in all if they are known."""

    rows: int
    bytes: int
    bytes_in_all: int | None = None


@dataclass(frozen=True)
class Joined:
    """A worker's rows are in segments, and all workers agree on shapes and counts."""

    rank: int
    training_rows: int
    validation_rows: int
    disk: int  # bytes of its segments
    steps: int  # an epoch
    inputs: dict[str, Any]  # name -> [shape of a row, dtype]; sent by rank 0 alone
    labels: list[list[int]] | None = None  # [label, this worker's training rows] of each class; None without classes


@dataclass(frozen=True)
class Progress:
    """A worker's progress in training, sent at most a few times a second; rows are its own since training began."""

    epoch: int  # from 1
    epochs: int
    step: int  # of this epoch, from 1
    steps: int
    rows: int
    logs: dict[str, float]


@dataclass(frozen=True)
class EpochEnd:
    """An epoch has ended."""

    epoch: int  # from 1
    seconds: float
    logs: dict[str, float]  # over all workers' rows


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint is on the storage."""

    epoch: int  # complete epochs
    step: int  # complete steps of the next epoch
    bytes: int
    held: float  # seconds that training waited for it
    seconds: float  # that the writing took


SIGN_SECONDS = 1.0  # between two signs of life


@dataclass(frozen=True)
class Alive:
    """A sign of life, sent every second by a training process that is neither stopped nor blocked in native code."""

    waiting: float = 0.0  # seconds that it has waited in a collective call outside of a graph


@dataclass(frozen=True)
class Log:
    """Text that a worker wrote to its standard output or error."""

    text: str


@dataclass(frozen=True)
class Failure:
    """A worker's failure.

    Attributes:
        cause: `code` for an exception of the user's code; `input` for a row, a shape or a label that can't be trained on;
            `lost` if the process was killed or the storage failed; `echo` for a consequence of another worker's failure.
        error: the exception's class, or how the process ended.
    """

    cause: str
    error: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Finished:
    """The end of a child that has trained. Rank 0's history and notes become the run's."""

    history: dict[str, list[float]]
    rows: int  # rows that this worker trained on, in all epochs together
    steps: int
    seconds: dict[str, float]  # of each phase
    epochs: int = 0
    stopped_early: bool = False
    best_epoch: int | None = None  # the epoch whose weights the model has; None: the last
    notes: list[str] = field(default_factory=list)
    parameters: int = 0  # the number of the model's parameters
    model_bytes: int = 0  # of model.keras as rank 0 wrote it; 0 if this worker wrote none
    model_sha256: str = ""  # of the same file, in hexadecimal
    inputs: dict[str, Any] = field(default_factory=dict)  # name -> [shape, dtype], as fed; sent by rank 0 alone
    peak_memory: int = 0  # bytes resident
    returned_sha256: str = ""  # of the file with an own loop's return value, in hexadecimal
    signature: dict[str, Any] = field(default_factory=dict)  # of the model (training.signature); sent by rank 0 alone
    custom_objects: dict[str, str] = field(default_factory=dict)  # the model's custom classes and functions -> their modules


Message = Phase | Filling | Joined | Progress | EpochEnd | Checkpointed | Alive | Log | Failure | Finished
_KINDS = {
    kind.__name__: kind for kind in (Phase, Filling, Joined, Progress, EpochEnd, Checkpointed, Alive, Log, Failure, Finished)
}


def encode(message: Message) -> str:
    """Return a message as one line of JSON, without a newline."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)})


def decode(line: str | bytes) -> Message:
    """Return the message of a line from `encode`.

    Raises:
        ValueError: the line is no such message.
    """
    fields = json.loads(line)
    try:
        return _KINDS[fields.pop("kind")](**fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message between driver, task and child: {line[:200]!r}") from error


def encode_order(order: Order) -> str:
    """Return an order as one line of JSON, without a newline."""
    return json.dumps(asdict(order))


def decode_order(line: str | bytes) -> Order:
    """Return the order of a line from `encode_order`."""
    fields = json.loads(line)
    fit = fields["fit"]
    fit["batch_sizes"] = tuple(fit["batch_sizes"])
    fit["outputs"] = tuple(fit["outputs"]) if fit["outputs"] is not None else None
    if fit["class_weight"] is not None:  # JSON's keys are strings
        fit["class_weight"] = {int(label): weight for label, weight in fit["class_weight"].items()}
    if fit["callbacks"] is not None:
        fit["callbacks"] = Source(**fit["callbacks"])
    if fit["resume"] is not None:
        fit["resume"] = Checkpoint(**fit["resume"])
    fields["fit"] = Fit(**fit)
    fields["model"] = Source(**fields["model"])
    return Order(**fields)


def encode_check(check: OutputCheck) -> str:
    """Return a check as one line of JSON, without a newline."""
    return json.dumps({"check": asdict(check)})


def decode_check(line: str | bytes) -> OutputCheck | None:
    """Return the check of a line from `encode_check`; None if the line is an order."""
    fields = json.loads(line)
    return OutputCheck(**fields["check"]) if "check" in fields else None
