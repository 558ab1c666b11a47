"""Runs TensorFlowOnSpark's TFCluster from the driver: starts a node on each executor, and ends them."""

from __future__ import annotations

import inspect
import math
import os
import secrets
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from sparktrain.engines.tensorflowonspark import nodes as on_executor
from sparktrain.engines.tensorflowonspark.guard import guarded
from sparktrain.engines.tensorflowonspark.known import Nodes
from sparktrain.engines.tensorflowonspark.package import plain_import
from sparktrain.interfaces.launch import EngineRefused, Executors, LaunchFailed

with plain_import():
    from tensorflowonspark import TFCluster, reservation

_END_SECONDS = 20.0  # for the end of the nodes, if nothing else uses their executors
_REUSE = "spark.python.worker.reuse"
_HOST = "TFOS_SERVER_HOST"  # TensorFlowOnSpark's own variable

_Function = Callable[[Iterable[int]], object]


class Application:
    """A stand-in for the SparkContext that TensorFlowOnSpark uses, limited to its own jobs.

    With the real one it would run its functions as ordinary tasks, of which several may be on one executor; wait for all jobs
    of the application to end, including the user's; and cancel those and stop the context if something fails.

    Args:
        executors: the application's executors.
    """

    def __init__(self, executors: Executors) -> None:
        self.executors = executors
        self.wrap: Callable[[_Function], Callable[[int], None]]
        self.description = ""
        self.error: Exception | None = None
        self.ended = threading.Event()  # set when the current job has ended
        self.reservations: tuple[str, int] | None = None  # the address of its reservation server
        self._jsc = executors.context._jsc

    def next(self, description: str, wrap: Callable[[_Function], Callable[[int], None]]) -> None:
        """Set the description of the next job, and how executors call its function."""
        self.description, self.wrap = description, wrap
        self.error = None
        self.ended.clear()

    def parallelize(self, numbers: Sequence[int], slices: int) -> Application:
        return self

    def foreachPartition(self, function: _Function) -> None:
        found = inspect.getclosurevars(function).nonlocals
        self.reservations = found.get("cluster_meta", {}).get("server_addr", self.reservations)
        try:
            self.executors.run(self.wrap(function), self.description)
        except Exception as error:
            self.error = error
            raise
        finally:
            self.ended.set()

    def statusTracker(self) -> Application:
        return self

    def getActiveJobsIds(self) -> list[int]:
        return []  # TensorFlowOnSpark asks when its own job has ended

    def cancelAllJobs(self) -> None:
        self.executors.cancel()

    def stop(self) -> None:
        """Do nothing: the user's SparkContext keeps running."""


@contextmanager
def cluster(executors: Executors, timeout: float, note: Callable[[str], None]) -> Iterator[Nodes]:
    """Run a node on each executor within a context; see `Launch.brought_up`."""
    if executors.context.getConf().get(_REUSE, "true").lower() != "true":
        raise EngineRefused(
            f"{_REUSE} is false, and TensorFlowOnSpark's nodes live by the Python processes that Spark reuses: submit "
            f"without it, or set training.engine: horovod"
        )
    count = executors.count
    if count == 0:
        raise LaunchFailed("TensorFlowOnSpark's nodes can't start: the application has lost all its executors; run again")
    application = Application(executors)
    name = secrets.token_hex(6)
    started = _start(application, name, count, timeout)
    nodes = Nodes(name, tuple(started.cluster_info), executors.together, by_rank=executors.together)
    try:
        yield nodes
    finally:
        _end(application, started, nodes, note)


def _start(application: Application, name: str, count: int, timeout: float) -> TFCluster.TFCluster:
    executors, key = application.executors, secrets.token_bytes(32)
    conf = executors.context.getConf()
    host = os.environ.get(_HOST, conf.get("spark.driver.host"))
    application.next(
        "starting TensorFlowOnSpark's nodes", lambda function: partial(on_executor.start, function, name, executors.together, key)
    )
    TFCluster.tf_status.clear()  # an earlier cluster's failure would end this one
    try:
        with _server_host(host), guarded(key, conf.get("spark.driver.bindAddress", host)):
            started = TFCluster.run(
                application,
                on_executor.relay,
                Namespace(num_gpus=0),  # the nodes need none
                num_executors=count,
                num_ps=0,
                input_mode=TFCluster.InputMode.SPARK,
                reservation_timeout=math.ceil(timeout),
                release_port=False,
            )
        # It returns when all nodes have registered, and they may still fail.
        if not application.ended.wait(timeout):
            raise LaunchFailed(f"their start did not end within {timeout:.0f} s")
        if application.error is not None:
            raise application.error
        return started
    except (Exception, SystemExit) as error:  # TensorFlowOnSpark exits the program if a node doesn't start
        reason = _why_not(application, error, timeout)
        executors.cancel()
        raise LaunchFailed(reason) from error
    except BaseException:
        executors.cancel()
        raise
    finally:
        if application.reservations is not None:  # its port is closed as soon as it has served
            with guarded(key):
                client = reservation.Client(application.reservations)
                client.request_stop()
                client.close()


def _why_not(application: Application, error: BaseException, timeout: float) -> str:
    if application.error is not None:
        return f"TensorFlowOnSpark's nodes did not start. Spark says: {application.error}"
    if not application.ended.is_set():
        return (
            f"TensorFlowOnSpark's nodes did not start within {timeout:.0f} s (cluster.slots_timeout): they need a free "
            f"slot on each of the application's {application.executors.count} executors at once. End what else runs in "
            "this application, wait longer, or set training.engine: horovod, which needs only the workers' own"
        )
    return f"TensorFlowOnSpark's nodes did not start: {error}"


def _end(application: Application, started: TFCluster.TFCluster, nodes: Nodes, note: Callable[[str], None]) -> None:
    application.next("ending TensorFlowOnSpark's nodes", lambda function: partial(on_executor.end, function, nodes))
    TFCluster.tf_status.clear()
    # In its last five seconds it only checks the application's other jobs, which need not be waited for.
    threading.Thread(target=_shut_down, args=(started,), name="tensorflowonspark-end", daemon=True).start()
    if not application.ended.wait(_END_SECONDS):
        note(
            "TensorFlowOnSpark's nodes wait for their end, as another job of this application holds an executor; they "
            "end when it does, and hold no core until then"
        )
    elif application.error is not None:
        note(f"TensorFlowOnSpark's nodes ended with an error, after training had: {application.error}")


def _shut_down(started: TFCluster.TFCluster) -> None:
    try:
        started.shutdown(timeout=-1)  # its own timeout would send a signal that stops the application
    except (Exception, SystemExit):
        pass  # it is in Application.error


@contextmanager
def _server_host(host: str) -> Iterator[None]:
    """Let the nodes register at the address at which executors reach the driver, unless the user has set another."""
    if _HOST in os.environ:
        yield
        return
    os.environ[_HOST] = host
    try:
        yield
    finally:
        os.environ.pop(_HOST, None)
