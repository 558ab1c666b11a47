"""What passes between driver, task and child: plain dataclasses, as JSON on every wire."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sparktrain.interfaces.checkpoints import Checkpoint


@dataclass(frozen=True)
class Source:
    """Something of the user's that the child loads: exactly one of the first three is set.

    function: `module:function`, looked up on the child's path.
    pickle:   a function by value (`training.custom_objects.by_value`), from a notebook or a script.
    file:     the URL of a `.keras` file.
    modules:  imported before.
    objects:  classes and functions of the file's model by the names in it, by value.
    """

    function: str | None = None
    pickle: str | None = None
    file: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    objects: str | None = None


@dataclass(frozen=True)
class Fit:
    """How to train; the words are those of the job's `training` section."""

    epochs: int
    batch_sizes: tuple[int, ...]  # of each part, in the order of the parts
    callbacks: Source | None = None
    warmup_epochs: float | None = None  # None: the learning rate is not scaled
    early_stopping: dict[str, Any] | None = None  # arguments of keras.callbacks.EarlyStopping
    save: str = "last"  # last | best
    class_weight: dict[int, float] | None = None
    inputs_named: bool = False  # whether the features are given by the inputs' names
    label: str | None = None  # the first label's column
    outputs: tuple[str, ...] | None = None  # the outputs' names, in the order of the labels, where the job has them
    average: str | int = "step"  # step: gradients; epoch, or a number of steps: weights
    rehearsal: bool = False  # one step, nothing saved
    keep_checkpoints: int = 0  # how many; 0: none is written
    checkpoint_steps: int | None = None  # of an epoch, between two; None: only after each epoch
    resume: Checkpoint | None = None  # the one to go on from
    whole: bool = False  # whether each worker has all training rows, and not a part of them
    # No epoch is begun that would be over it: seconds since 1970 by the driver's clock; in an Order, as workers' clocks may
    # differ from that, seconds of the monotonic clock of the worker's host.
    ends_at: float | None = None
    then: str = "save"  # save | fail: at the time limit
    own_loop: bool = False  # the model is a function that trains by itself
    has_rows: bool = True  # for an own loop: whether it was given any
    labelled: bool = True  # likewise: whether they have a label


WEIGHTS = "model.weights.h5"  # under the run's output, of a trained model that can't be saved


def returned_name(rank: int) -> str:
    """The file under the run's output with what an own loop's function returned."""
    return f"returned-{rank}.pickle"


@dataclass(frozen=True)
class Order:
    """What a task tells its child once the rows lie in segments: one JSON line on the child's stdin."""

    run: str
    engine: str
    rank: int
    size: int
    part: int  # which of the N parts of the frame this worker has; fixed while ranks may move
    environment: dict[str, str]  # of the engine's launch
    feed: dict[str, Any]  # feed's own description of this worker's segments (feed.Shard.to_json)
    model: Source
    fit: Fit
    seed: int
    output: str  # URL of the folder that rank 0 writes model.keras and logs/ into
    hadoop: dict[str, str]  # Hadoop's settings that storage needs
    token: str = ""  # of the driver's claim on that folder (storage.claims): without it nothing may be written there


@dataclass(frozen=True)
class OutputCheck:
    """What a task tells its child before the order: the folder that it must share with the driver."""

    output: str
    hadoop: dict[str, str]
    token: str  # of the driver's claim, which must be found there


@dataclass(frozen=True)
class Phase:
    """A worker entered a phase: start, fill, join, build, train (run for a loop of the user's own), save, done."""

    name: str


@dataclass(frozen=True)
class Filling:
    """How far this worker's rows are: written so far, and in all where that is known before."""

    rows: int
    bytes: int
    bytes_in_all: int | None = None


@dataclass(frozen=True)
class Joined:
    """A worker's rows lie in segments, and all agree on what they are."""

    rank: int
    training_rows: int
    validation_rows: int
    disk: int  # bytes of its segments
    steps: int  # an epoch
    inputs: dict[str, Any]  # name -> [shape of a row, dtype]; told by rank 0 alone
    labels: list[list[int]] | None = None  # [label, this worker's training rows]; None where they are no classes


@dataclass(frozen=True)
class Progress:
    """Where training stands, a few times a second at most; rows are this worker's, since training began."""

    epoch: int  # from 1
    epochs: int
    step: int  # of this epoch, from 1
    steps: int
    rows: int
    logs: dict[str, float]


@dataclass(frozen=True)
class EpochEnd:
    epoch: int  # from 1
    seconds: float
    logs: dict[str, float]  # over all workers' rows


@dataclass(frozen=True)
class Checkpointed:
    """The state after so many epochs, and steps of the next, is on the storage: training was held up, and the writing took,
    so many seconds."""

    epoch: int
    step: int
    bytes: int
    held: float
    seconds: float


SIGN_SECONDS = 1.0  # between two signs of life


@dataclass(frozen=True)
class Alive:
    """A sign every second of a training process that is neither stopped nor held up in native code.

    waiting: seconds for which it has waited in a collective call outside of a graph.
    """

    waiting: float = 0.0


@dataclass(frozen=True)
class Log:
    """Lines that a worker wrote to its standard output or error."""

    text: str


@dataclass(frozen=True)
class Failure:
    """A worker's end by failure.

    cause: what to do about it. `code`: an exception of the user's code; `input`: a row, a shape or a label that
    can't be trained on; `lost`: the process was killed, or the storage failed it; `echo`: only another worker's failure
    seen from here.
    """

    cause: str
    error: str  # the exception's class, or how the process ended
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Finished:
    """A child's end. Rank 0's history and notes are the run's."""

    history: dict[str, list[float]]
    rows: int  # rows this worker trained on, all epochs together
    steps: int
    seconds: dict[str, float]  # of each phase
    epochs: int = 0
    stopped_early: bool = False
    best_epoch: int | None = None  # whose weights the model has; None: the last's
    notes: list[str] = field(default_factory=list)
    parameters: int = 0  # of the model
    model_bytes: int = 0  # of model.keras as rank 0 wrote it; 0 where this worker wrote none
    model_sha256: str = ""  # likewise, in hexadecimal
    inputs: dict[str, Any] = field(default_factory=dict)  # name -> [shape, dtype], as fed; told by rank 0 alone
    peak_memory: int = 0  # bytes resident, the largest seen
    returned_sha256: str = ""  # of the file with what an own loop's function returned, in hexadecimal
    signature: dict[str, Any] = field(default_factory=dict)  # of the model (training.signature); told by rank 0 alone
    custom_objects: dict[str, str] = field(default_factory=dict)  # the model's own classes and functions -> their modules


Message = Phase | Filling | Joined | Progress | EpochEnd | Checkpointed | Alive | Log | Failure | Finished
_KINDS = {
    kind.__name__: kind for kind in (Phase, Filling, Joined, Progress, EpochEnd, Checkpointed, Alive, Log, Failure, Finished)
}


def encode(message: Message) -> str:
    """One line of JSON, without its newline."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)})


def decode(line: str | bytes) -> Message:
    """The message of a line that `encode` made.

    Raises:
        ValueError: the line is no message of ours.
    """
    fields = json.loads(line)
    try:
        return _KINDS[fields.pop("kind")](**fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message between driver, task and child: {line[:200]!r}") from error


def encode_order(order: Order) -> str:
    """One line of JSON, without its newline."""
    return json.dumps(asdict(order))


def decode_order(line: str | bytes) -> Order:
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
    """One line of JSON, without its newline."""
    return json.dumps({"check": asdict(check)})


def decode_check(line: str | bytes) -> OutputCheck | None:
    """The check of a line that `encode_check` made; None where the line is an order."""
    fields = json.loads(line)
    return OutputCheck(**fields["check"]) if "check" in fields else None
