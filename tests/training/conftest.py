"""Real training processes without Spark: segments by feed, children as a task starts them, an engine's own launch."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest

ROOT = Path(__file__).resolve().parents[2]
USER = Path(__file__).resolve().parent / "user"
SEED = 7
_DEADLINE = 150  # seconds


@dataclass
class Worker:
    """What one training process told."""

    outcome: Any
    seconds: float  # from the orders' start to its end
    events: list[Any] = field(default_factory=list)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        from sparktrain.interfaces.messages import Log

        return "\n".join(event.text for event in self.of(Log))


@dataclass
class Run:
    workers: list[Worker]
    shards: list[Any]
    output: Path

    @property
    def model(self) -> Path:
        return self.output / "model.keras"


@pytest.fixture(scope="session")
def user_module():
    """The user's module that the children import by name, in this process."""
    return _module("trained", USER / "trained.py")


def _module(name: str, path: Path) -> Any:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def in_process():
    """Training by threads of this process; see in_process.py."""
    return _module("in_process", Path(__file__).with_name("in_process.py"))


@pytest.fixture(scope="session")
def make_rows():
    return _make_rows


@pytest.fixture(scope="session")
def seed() -> int:
    return SEED


def _make_rows(count: int, start: int = 0) -> dict[str, np.ndarray]:
    """Rows of which the first of every ten are for validation."""
    random = np.random.default_rng(start + 1)
    x = random.normal(size=(count, 4)).astype(np.float32)
    noise = random.normal(size=count)
    return {
        "x": x,
        "row": np.arange(start, start + count, dtype=np.float32),
        "y": (x @ [0.5, -1.0, 2.0, 0.0] + noise > 0).astype(np.int64),
        "validation": np.arange(count) % 10 == 0,
    }


def _layout(weighted: bool):
    from sparktrain.feed import Column, Input, Layout

    inputs = (Input("x", (Column("x"),)), Input("row", (Column("row"),)))
    weight = "weight" if weighted else None
    return Layout(inputs=inputs, label="y", classes=None, weight=weight, validation="validation")


def _batch(rows: dict[str, np.ndarray]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "x": pa.array(list(rows["x"]), pa.list_(pa.float32())),
            "row": pa.array(rows["row"]),
            "y": pa.array(rows["y"]),
            "validation": pa.array(rows["validation"]),
            **({"weight": pa.array(rows["weight"])} if "weight" in rows else {}),
        }
    )


@pytest.fixture
def shards(tmp_path_factory):
    """Write each part's rows to segments, as the tasks do."""

    def write(parts: list[dict[str, np.ndarray]], batch_sizes: tuple[int, ...]) -> list[Any]:
        from sparktrain.feed import SegmentWriter, Shard, agree

        folders = [tmp_path_factory.mktemp("part") for _ in parts]
        filled = []
        for folder, rows in zip(folders, parts):
            writer = SegmentWriter(folder, _layout("weight" in rows))
            writer.write(_batch(rows))
            filled.append(writer.close())
        agreement = agree([each.to_json() for each in filled])
        return [
            Shard(folder, each, agreement, part=part, seed=SEED, batch_sizes=batch_sizes)
            for part, (folder, each) in enumerate(zip(folders, filled))
        ]

    return write


@pytest.fixture
def engine(request) -> str:
    """What `train` brings several workers together with; a test that holds for more engines names them."""
    return getattr(request, "param", "horovod")


@pytest.fixture
def brought_up(request):
    """Brings an engine up for a number of workers: TensorFlowOnSpark's nodes by the session's Spark."""

    @contextmanager
    def bring_up(engine: str, workers: int) -> Iterator[Any]:
        from sparktrain import engines

        if engine != "tensorflowonspark":
            with engines.bring_up(engine, None, 0, pytest.fail) as make:
                yield make
            return
        from sparktrain.cluster.executors.application_executors import ApplicationExecutors
        from sparktrain.cluster.executors.slots import Slots

        executors = ApplicationExecutors(request.getfixturevalue("spark").sparkContext, Slots(3, 1, 1, local=False), workers)
        with engines.bring_up(engine, executors, 60, pytest.fail) as make:
            # These workers are no Spark tasks and have no executor, but they are on its machine.
            yield replace(make, nodes=replace(make.nodes, by_rank=True))

    return bring_up


@pytest.fixture
def train(shards, engine, brought_up, tmp_path_factory):
    """Train on the parts with real workers; returns when all have ended."""
    usual = engine

    def run(
        parts: list[dict[str, np.ndarray]],
        build: str,
        args: dict[str, Any] | None = None,
        *,
        epochs: int = 2,
        batch_size: int = 8,
        engine: str | None = None,
        devices: int = 1,
        source: Any = None,
        on_event: Any = None,
        output: Path | None = None,
        ends_at: float | None = None,
        **fit: Any,
    ) -> Run:
        from sparktrain.interfaces.messages import Order
        from sparktrain.interfaces.training_spec import Fit, Output, Source, TrainingSpec

        engine = engine or usual
        sizes = (batch_size,) * len(parts)
        written = shards(parts, sizes)
        output = output or tmp_path_factory.mktemp("output")
        if "callbacks" in fit:
            fit["callbacks"] = Source(function=f"trained:{fit['callbacks']}")
        order = Order(
            spec=TrainingSpec(
                run="test",
                engine=engine,
                model=source or Source(function=f"trained:{build}", args=args or {}),
                fit=Fit(epochs=epochs, batch_sizes=sizes, **fit),
                seed=SEED,
                output=Output(str(output)),
            ),
            rank=0,
            size=len(parts),
            part=0,
            environment={},
            feed={},
            ends_at=ends_at,
        )
        orders = [replace(order, rank=r, part=r, feed=shard.to_json()) for r, shard in enumerate(written)]
        with brought_up(engine, len(parts)) as launch:
            return Run(_run(orders, launch, tmp_path_factory.mktemp("work"), on_event, devices), written, output)

    return run


def _run(orders: list[Any], launch: Any, folder: Path, on_event: Any, devices: int) -> list[Worker]:
    from sparktrain.cluster.processes.child import Child
    from sparktrain.cluster.processes.warm_start import WarmStart
    from sparktrain.interfaces.launch import Place

    warm = WarmStart(psutil.Process(), minutes=10)  # this process is the executor
    size = len(orders)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(USER)]),
        "TMPDIR": str(folder),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "SPARKTRAIN_VIRTUAL_CPUS": str(devices),
    }
    environment.pop("PYTEST_CURRENT_TEST", None)  # a template is for one environment
    told = [""] * size
    barrier = threading.Barrier(size)
    workers = [Worker(None, 0.0) for _ in orders]
    children: list[Any] = []
    launches = [launch() for _ in orders]

    def gather(rank: int, value: str) -> list[str]:
        told[rank] = value
        barrier.wait(30)
        values = list(told)
        barrier.wait(30)
        return values

    def take(rank: int, event: Any) -> None:
        workers[rank].events.append(event)
        if on_event is not None:
            on_event(rank, event, children)

    def work(rank: int) -> None:
        place = Place(rank, size, "127.0.0.1", rank, size, 0, 1)
        segments = orders[rank].feed["folders"][0]
        joined = dict(launches[rank].join(place, segments, lambda value: gather(rank, value)))
        children[rank].order(replace(orders[rank], environment=joined))
        workers[rank].outcome = children[rank].wait()
        workers[rank].seconds = time.monotonic() - began

    for rank in range(size):
        children.append(Child(environment, lambda event, rank=rank: take(rank, event), str(folder), warm.start))
    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    began = time.monotonic()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, began + _DEADLINE - time.monotonic()))
    finally:
        for child in children:
            child.kill("the test is over")
        for each in launches:
            each.close()
    return workers
