"""The messages between driver, task and child: plain dataclasses, sent as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from sparktrain.interfaces.decoding import from_json
from sparktrain.interfaces.training_spec import Output, TrainingSpec

WEIGHTS = "model.weights.h5"  # in the run's folder: the weights of a trained model that can't be saved


def returned_name(rank: int) -> str:
    """Return the name of the file in the run's folder with the return value of a worker's own loop."""
    return f"returned-{rank}.pickle"


@dataclass(frozen=True)
class Order:
    """A task's order to its child once the rows are in segments: one JSON line on the child's standard input."""

    spec: TrainingSpec
    rank: int
    size: int
    part: int  # the part of the frame that this worker has; ranks may change between attempts, parts don't
    environment: dict[str, str]  # from the engine's `Launch.join`
    feed: dict[str, Any]  # the description of this worker's segments (feed.Shard.to_json)
    ends_at: float | None = None  # the spec's time limit, in seconds of the monotonic clock of this worker's host


@dataclass(frozen=True)
class OutputCheck:
    """A task's request to its child, before the order: to check that it shares the output folder with the driver."""

    output: Output


@dataclass(frozen=True)
class EndEpoch:
    """A task's request to its child, at any time: to end training after the current epoch, for a reason that its notes name."""

    reason: str


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

    waiting: float = 0.0  # seconds that it has waited in a collective call outside of a recorded step


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

    @property
    def retryable(self) -> bool:
        """Whether another attempt may succeed."""
        return self.cause in ("lost", "echo")


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


Request = OutputCheck | Order | EndEpoch
Message = Phase | Filling | Joined | Progress | EpochEnd | Checkpointed | Alive | Log | Failure | Finished
_REQUESTS = {kind.__name__: kind for kind in get_args(Request)}
_MESSAGES = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message | Request) -> str:
    """Return a message or a request as one line of JSON, without a newline."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)})


def decode(line: str | bytes) -> Message:
    """Return the message of a line from `encode`.

    Raises:
        ValueError: the line is no such message.
    """
    return _decode(line, _MESSAGES)


def decode_request(line: str | bytes) -> Request:
    """Return the request of a line from `encode`.

    Raises:
        ValueError: the line is no such request.
    """
    return _decode(line, _REQUESTS)


def _decode(line: str | bytes, kinds: Mapping[str, type]) -> Any:
    fields = json.loads(line)
    try:
        return from_json(kinds[fields.pop("kind")], fields)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a message between driver, task and child: {line[:200]!r}") from error
