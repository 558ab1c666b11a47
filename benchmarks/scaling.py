"""How near do two workers that average every step come to what can be had at all?

LSTM(64) over 28 steps of 28 floats, batch 64 a worker, ten steps an execution; each worker is a process pinned to one
core. Beside the engines: one worker alone; two processes that know nothing of each other; and two that exchange the same
bytes over a raw socket in lock-step, which is the ceiling for any averaging of every step. All run the same training
code, and differ in the collective alone; rows/s of both workers together, in the epochs after the first, which compiles.

    python benchmarks/scaling.py [--rows 12800] [--epochs 4] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from overhead import STEPS, WIDTH, rows
from overhead import build as build_model
from report import Measured, Target, report

BATCH = 64
KINDS = {
    "alone": "one worker alone",
    "independent": "two processes, no averaging",
    "socket": "raw socket in lock-step: the ceiling",
    "horovod": "horovod",
    "tensorflowonspark": "tensorflowonspark",
}


def build():
    model = build_model()
    model.steps_per_execution = 10
    return model


def segments(folder: Path, count: int, parts: int) -> list[str]:
    """Each part's shard, as JSON, of the same number of rows."""
    import pyarrow

    from sparktrain import feed

    layout = feed.Layout((feed.Input("x", (feed.Column("x", shape=(STEPS, WIDTH)),)),), "y")
    x, y = rows(count)
    offsets = numpy.arange(0, x.size + 1, STEPS * WIDTH, dtype="int32")
    batch = pyarrow.RecordBatch.from_pydict({"x": pyarrow.ListArray.from_arrays(offsets, x.reshape(-1)), "y": y})
    filled = []
    for part in range(parts):
        writer = feed.SegmentWriter(folder / f"part-{part}", layout)
        writer.write(batch)
        filled.append(writer.close())
    agreement = feed.agree([each.to_json() for each in filled])
    shards = [feed.Shard(folder / f"part-{part}", each, agreement, part, 7, (BATCH,) * parts) for part, each in enumerate(filled)]
    return [json.dumps(shard.to_json()) for shard in shards]


def work(kind: str, rank: int, size: int, shard: str, epochs: int) -> None:
    """One worker's process: prints the seconds of each epoch."""
    os.sched_setaffinity(0, {rank % os.cpu_count()})
    from sparktrain import engines, feed
    from sparktrain.interfaces import EpochEnd, Fit, Order, Output, Source, TrainingSpec
    from sparktrain.training import train

    if kind == "socket":
        collective = socket_collective(rank)
    else:
        collective = engines.collective(kind if kind in ("horovod", "tensorflowonspark") else "single")
    with tempfile.TemporaryDirectory() as output:
        order = Order(
            spec=TrainingSpec(
                run="scaling",
                engine=kind if kind in ("horovod", "tensorflowonspark") else "single",
                model=Source(function="scaling:build"),
                fit=Fit(epochs=epochs, batch_sizes=(BATCH,) * size),
                seed=7,
                output=Output(f"file://{output}"),
            ),
            rank=rank,
            size=size,
            part=rank % size,
            environment={},
            feed={},
        )

        def told(message: Any) -> None:
            if isinstance(message, EpochEnd):
                print(json.dumps({"seconds": message.seconds}), flush=True)

        train(order, feed.Shard.from_json(json.loads(shard)), collective, told)
    sys.stdout.flush()
    os._exit(0)


def socket_collective(rank: int):
    """Two workers that hand each other one buffer a step."""
    import pickle

    import tensorflow as tf

    from sparktrain.interfaces import Collective

    port = int(os.environ["SCALING_PORT"])
    if rank == 0:
        with socket.create_server(("127.0.0.1", port)) as server:
            peer, _ = server.accept()
    else:
        peer = _connected(port)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(own: bytes | memoryview, size: int) -> bytearray:
        theirs, got = bytearray(size), 0
        sender = threading.Thread(target=peer.sendall, args=(own,)) if size > 1 << 16 else None
        if sender is None:
            peer.sendall(own)
        else:  # more than the socket holds: both would wait for the other to read
            sender.start()
        while got < size:
            got += peer.recv_into(memoryview(theirs)[got:])
        if sender is not None:
            sender.join()
        return theirs

    class Socket(Collective):
        size = 2

        def __init__(self) -> None:
            self.rank = rank

        def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
            def add(own):
                theirs = numpy.frombuffer(exchange(memoryview(own).cast("B"), own.nbytes), own.dtype)
                return own + theirs if rank == 0 else theirs + own

            return [tf.ensure_shape(tf.numpy_function(add, [each], each.dtype), each.shape) for each in tensors]

        def gather_tensors(self, tensor: Any, counts: Any) -> Any:
            raise NotImplementedError("the model that is measured has no sparse gradients")

        def gather(self, value: Any) -> list[Any]:
            own = pickle.dumps(value)
            (size,) = struct.unpack("q", exchange(struct.pack("q", len(own)), 8))
            both = [value, pickle.loads(exchange(own, size))]
            return both if rank == 0 else both[::-1]

        def broadcast(self, value: Any) -> Any:
            return self.gather(value)[0]

        def is_echo(self, error: BaseException) -> bool:
            return False

        def close(self) -> None:
            peer.close()

    return Socket()


def _connected(port: int) -> socket.socket:
    import time

    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def measure(kind: str, shards: list[str], epochs: int) -> list[float]:
    """Seconds of each epoch after the first: of the slower worker, where they don't wait for each other."""
    size = 1 if kind == "alone" else 2
    given: list[dict[str, str]] = [{} for _ in range(size)]
    launches = []
    if kind == "horovod":
        given, launches = _rendezvous(size)
    if kind == "tensorflowonspark":
        workers = [f"127.0.0.1:{free_port()}" for _ in range(size)]
        given = [
            {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}})}
            for rank in range(size)
        ]
    port = str(free_port())
    processes = []
    for rank in range(size):
        environment = {
            **os.environ,
            **given[rank],
            "SCALING_PORT": port,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parent), *filter(None, sys.path)]),
        }
        of_one = kind in ("alone", "independent")
        command = [
            sys.executable,
            __file__,
            "--work",
            kind,
            str(0 if kind == "alone" else rank),
            str(1 if of_one else size),
            shards[0 if of_one else rank],
            str(epochs),
        ]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    ended = []
    for process in processes:
        shown, errors = process.communicate(timeout=300)
        found = [json.loads(line)["seconds"] for line in shown.splitlines() if line.startswith("{")]
        if len(found) != epochs:
            raise SystemExit(f"{kind}: a worker failed:\n{errors[-3000:]}")
        ended.append(found[1:])
    for launch in launches:
        launch.close()
    return [max(each) for each in zip(*ended)]


def _rendezvous(size: int):
    """What Horovod's launch gives each worker."""
    from sparktrain.engines import launch_of
    from sparktrain.interfaces import Place

    launches, given = [launch_of("horovod")() for _ in range(size)], [{} for _ in range(size)]
    told, barrier = [""] * size, threading.Barrier(size)

    def join(rank: int) -> None:
        def gather(value: str) -> list[str]:
            told[rank] = value
            barrier.wait(30)
            values = list(told)
            barrier.wait(30)
            return values

        given[rank] = dict(launches[rank].join(Place(rank, size, "127.0.0.1", rank, size, 0, 1), "", gather))

    threads = [threading.Thread(target=join, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given, launches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=12_800, help="of each worker")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(KINDS), choices=list(KINDS), help=argparse.SUPPRESS)
    parser.add_argument("--work", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        kind, rank, size, shard, epochs = options.work
        work(kind, int(rank), int(size), shard, int(epochs))
    got: dict[str, list[float]] = {kind: [] for kind in options.only}
    with tempfile.TemporaryDirectory(prefix="sparktrain-scaling-") as folder:
        one = segments(Path(folder, "one"), options.rows, 1)
        two = segments(Path(folder, "two"), options.rows, 2)
        for _ in range(options.repeats):
            for kind in options.only:
                seconds = measure(kind, one if kind in ("alone", "independent") else two, options.epochs)
                workers = 1 if kind == "alone" else 2
                got[kind] += [workers * options.rows / each for each in seconds]
                print(kind, [f"{rate:,.0f}" for rate in got[kind][-len(seconds) :]], flush=True)
    if options.only != list(KINDS):
        return
    measured = [Measured(KINDS[kind], "rows/s of all workers", values) for kind, values in got.items()]
    median = {kind: each.median for kind, each in zip(got, measured)}
    better, other = sorted((median["horovod"], median["tensorflowonspark"]), reverse=True)
    report(
        "scaling",
        "LSTM(64), batch 64 a worker: two workers of one core each",
        measured,
        [
            Target("the better engine over the ceiling", better / median["socket"], 0.9),
            Target("the other engine over the ceiling", other / median["socket"], 0.8),
        ],
    )


if __name__ == "__main__":
    main()
