"""Training in this process: its workers are threads, whose collective is a barrier and a sum.

One or two of them: each holds one of TensorFlow's threads while it waits for the others, and there are as many as cores.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

from sparktrain.engines.single.collective import EngineCollective
from sparktrain.feed import Column, Input, Layout, SegmentWriter, Shard, agree
from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Order
from sparktrain.interfaces.training_spec import Fit, Output, Source, TrainingSpec
from sparktrain.models import by_value as values
from sparktrain.training.keras import train as train_keras

SEED = 7
_PATIENCE = 150  # seconds that a worker waits for the others


@dataclass
class Trained:
    """How each worker ended: what it returned or raised, and what it told."""

    outcomes: list[Any]
    events: list[list[Any]]
    output: Path

    @property
    def model(self) -> keras.Model:
        return keras.models.load_model(self.output / "model.keras")


class Threads(Collective):
    """The workers of one process."""

    def __init__(self, rank: int, barrier: threading.Barrier, told: list[Any]) -> None:
        self.rank, self.size = rank, barrier.parties
        self._barrier, self._told = barrier, told

    def _exchange(self, value: Any) -> list[Any]:
        self._told[self.rank] = value
        self._barrier.wait(_PATIENCE)
        values = list(self._told)
        self._barrier.wait(_PATIENCE)
        return values

    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        def add(*own: np.ndarray) -> list[np.ndarray]:
            return [
                np.sum(each, axis=0, dtype=np.float64).astype(mine.dtype) for mine, each in zip(own, zip(*self._exchange(own)))
            ]

        sums = tf.numpy_function(add, list(tensors), [tensor.dtype for tensor in tensors])
        for total, tensor in zip(sums, tensors):
            total.set_shape(tensor.shape)
        return list(sums)

    def gather_tensors(self, tensor: Any, counts: Any) -> Any:
        joined = tf.numpy_function(lambda own: np.concatenate(self._exchange(own)), [tensor], tensor.dtype)
        joined.set_shape([None, *tensor.shape[1:]])
        return joined

    def gather(self, value: Any) -> list[Any]:
        return [pickle.loads(each) for each in self._exchange(pickle.dumps(value))]

    def broadcast(self, value: Any) -> Any:
        return self.gather(value)[0]

    def is_echo(self, error: BaseException) -> bool:
        return isinstance(error, threading.BrokenBarrierError)

    def close(self) -> None:
        """There is nothing to leave."""


def rows(count: int, start: int = 0, validation: int = 10) -> dict[str, np.ndarray]:
    """Rows of two classes, of which the first of every so many are for validation; 0: none is."""
    random = np.random.default_rng(start + 1)
    x = random.normal(size=(count, 4)).astype(np.float32)
    y = (x @ [0.5, -1.0, 2.0, 0.0] + random.normal(size=count) > 0).astype(np.int64)
    return {"x": x, "y": y, "validation": np.arange(count) % validation == 0 if validation else np.zeros(count, bool)}


def by_value(function: Callable[..., Any], **args: Any) -> Source:
    """A function as a notebook's goes to the workers."""
    return Source(pickle=values.by_value(function), args=args)


def train(
    parts: Sequence[dict[str, np.ndarray]],
    build: Callable[..., keras.Model] | Source,
    *,
    output: Path,
    epochs: int = 2,
    batch_size: int = 8,
    callbacks: Callable[[], list[keras.callbacks.Callback]] | None = None,
    trainer: Callable[..., Any] = train_keras,
    on_event: Callable[[int, Any], None] = lambda rank, event: None,
    **fit: Any,
) -> Trained:
    """Train a model on the parts, a worker each, and wait for all of them."""
    assert len(parts) <= max(2, int(os.environ.get("TF_NUM_INTEROP_THREADS", 2)) // 4)  # each may wait inside TensorFlow
    sizes = (batch_size,) * len(parts)
    order = Order(
        spec=TrainingSpec(
            run="test",
            engine="single",
            model=build if isinstance(build, Source) else by_value(build),
            fit=Fit(epochs=epochs, batch_sizes=sizes, callbacks=callbacks and by_value(callbacks), **fit),
            seed=SEED,
            output=Output(str(output)),
        ),
        rank=0,
        size=len(parts),
        part=0,
        environment={},
        feed={},
    )
    outcomes: list[Any] = [None] * len(parts)
    events: list[list[Any]] = [[] for _ in parts]
    barrier, told = threading.Barrier(len(parts)), [None] * len(parts)

    def work(rank: int, shard: Shard) -> None:
        def report(event: Any) -> None:
            events[rank].append(event)
            on_event(rank, event)

        collective = EngineCollective(True) if len(parts) == 1 else Threads(rank, barrier, told)
        try:
            outcomes[rank] = trainer(replace(order, rank=rank, part=rank), shard, collective, report)
        except BaseException as error:
            outcomes[rank] = error
            barrier.abort()

    with tempfile.TemporaryDirectory() as folder:
        shards = shards_of(parts, sizes, Path(folder))
        threads = [threading.Thread(target=work, args=(rank, shard), name=str(rank)) for rank, shard in enumerate(shards)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return Trained(outcomes, events, output)


def shards_of(parts: Sequence[dict[str, np.ndarray]], sizes: tuple[int, ...], folder: Path) -> list[Shard]:
    """Write each part's rows to segments, as the tasks do."""
    layout = Layout(inputs=(Input("x", (Column("x"),)),), label="y", classes=None, weight=None, validation="validation")
    folders = [folder / f"part-{part}" for part in range(len(parts))]
    filled = []
    for own, columns in zip(folders, parts):
        writer = SegmentWriter(own, layout)
        writer.write(
            pa.RecordBatch.from_pydict(
                {name: pa.array(list(values)) if values.ndim > 1 else pa.array(values) for name, values in columns.items()}
            )
        )
        filled.append(writer.close())
    agreement = agree([each.to_json() for each in filled])
    return [
        Shard(own, each, agreement, part=part, seed=SEED, batch_sizes=sizes)
        for part, (own, each) in enumerate(zip(folders, filled))
    ]
