"""TensorFlowOnSpark's nodes: brought up and ended by TFCluster, and no hang of theirs holds a worker or a run up."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import threading
import time
from multiprocessing.util import Finalize, register_after_fork
from pathlib import Path

import pytest
from pyspark import SparkConf

from sparktrain.cluster.executors.application_executors import ApplicationExecutors
from sparktrain.cluster.executors.slots import Slots
from sparktrain.engines.tensorflowonspark import cluster
from sparktrain.engines.tensorflowonspark import nodes as on_executor
from sparktrain.engines.tensorflowonspark.known import Nodes, home, pid_of, runs
from sparktrain.engines.tensorflowonspark.launch import EngineLaunch
from sparktrain.interfaces.launch import EngineRefused, LaunchFailed, Place

real = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def nothing_left(spark, node_processes):
    """After the test, no node is left, nor a folder of one."""
    dirs = spark.sparkContext.parallelize(range(3), 3).map(lambda _: os.environ["SPARK_LOCAL_DIRS"]).collect()
    yield
    deadline = time.monotonic() + 10
    while node_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not node_processes()
    assert not [path for each in dirs for one in each.split(",") for path in Path(one).glob("tensorflowonspark-*")]


def join(launches: list[EngineLaunch], folders: list[str]) -> list[dict]:
    """TF_CONFIG of each, or the error that it raised."""
    size, told, barrier = len(launches), [""] * len(launches), threading.Barrier(len(launches))
    results: list = [None] * size

    def work(rank: int) -> None:
        def gather(value: str) -> list[str]:
            told[rank] = value
            barrier.wait(10)
            return list(told)

        try:
            place = Place(rank, size, "127.0.0.1", rank, size, 0, 1)
            results[rank] = json.loads(launches[rank].join(place, folders[rank], gather)["TF_CONFIG"])
        except (LaunchFailed, threading.BrokenBarrierError) as error:
            results[rank] = error

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_an_application_that_reuses_no_python_process_is_refused_with_what_to_set():
    class Unused:
        class context:
            @staticmethod
            def getConf():
                return SparkConf(loadDefaults=False).set("spark.python.worker.reuse", "false")

    with pytest.raises(EngineRefused, match="spark.python.worker.reuse is false.*engine: horovod"):
        with cluster.cluster(Unused, 1, pytest.fail):
            pass


def test_a_task_on_an_executor_that_came_later_says_that_it_has_no_node(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    nodes = Nodes("some", ({"executor_id": 0}, {"executor_id": 1}), together=False, by_rank=False)
    with pytest.raises(LaunchFailed, match="joined the application after the nodes were started, on 2 executors"):
        EngineLaunch(nodes).join(Place(0, 1, "here", 0, 1, 0, 1), "segments", lambda value: [value])
    home("some").mkdir()
    (home("some") / "executor_id").write_text("1")
    assert nodes.of_executor() == {"executor_id": 1}


@pytest.mark.real
def test_a_node_has_no_process_before_it_has_said_so():
    from tensorflowonspark import TFManager

    manager = TFManager.start(b"key", ["input"])
    try:
        asked = TFManager.connect(manager.address, b"key")
        assert pid_of(asked) is None
        manager.set("pid", 7)
        assert pid_of(asked) == 7
    finally:
        manager.shutdown()


@pytest.mark.real
def test_a_node_whose_processes_take_a_while_to_end_has_none_when_its_end_returns(tmp_path, monkeypatch):
    from tensorflowonspark import TFManager
    from tensorflowonspark.TFSparkNode import TFSparkNode

    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    monkeypatch.setattr(TFSparkNode, "mgr", None)
    key, slowly = b"key", threading.Event()
    register_after_fork(slowly, lambda _: Finalize(None, time.sleep, args=(0.5,), exitpriority=1))

    def begin(numbers):
        Path("executor_id").write_text("0")
        TFSparkNode.mgr = TFManager.start(key, ["input"])

    on_executor.start(begin, "some", False, b"key", 0)
    [manager] = multiprocessing.active_children()
    info = {"executor_id": 0, "addr": TFSparkNode.mgr.address, "authkey": key}
    began = time.monotonic()
    on_executor.end(lambda numbers: None, Nodes("some", (info,), together=False, by_rank=False), 0)
    assert not runs(manager.pid) and time.monotonic() - began > 0.5
    assert not any(tmp_path.iterdir())


class TestNodes:
    pytestmark = [*real, pytest.mark.usefixtures("nothing_left")]

    def test_every_worker_hands_its_path_to_its_node_and_gets_all_addresses(self, brought_up, node_processes):
        for again in (False, True):  # one cluster after the other, on the same executors
            began = time.monotonic()
            with brought_up("tensorflowonspark", 3) as make:
                started = [process.pid for process in node_processes()]
                assert len(started) == 6, "a node and its manager on each of three executors"
                if again:  # Spark ends Python processes that are idle for a minute, and those of cancelled tasks
                    for worker in {process.parent() for process in node_processes()}:
                        worker.kill()
                launches = [make() for _ in range(3)]
                configs = join(launches, ["first", "second", "third"])
                for launch in launches:
                    launch.close()
                    launch.close()
            assert [each["task"] for each in configs] == [{"type": "worker", "index": rank} for rank in range(3)]
            assert not any(map(runs, started))
            [workers] = {tuple(each["cluster"]["worker"]) for each in configs}
            ports = [int(address.removeprefix("127.0.0.1:")) for address in workers]
            assert len(set(ports)) == 3
            for port in ports:  # the node holds it no more
                with socket.create_server(("", port)):
                    pass
            assert time.monotonic() - began < 30

    def test_a_node_that_was_killed_stopped_or_ended_early_is_told_in_seconds(self, brought_up):
        from tensorflowonspark import TFManager

        with brought_up("tensorflowonspark", 3) as make:
            managers = [TFManager.connect(node["addr"], node["authkey"]) for node in map(make.nodes.numbered, range(3))]
            until = time.monotonic() + 30
            while None in (pids := [pid_of(manager) for manager in managers]):
                assert time.monotonic() < until, "not every node said which process it is"
                time.sleep(0.1)
            killed, stopped, ended = pids
            os.kill(killed, signal.SIGKILL)
            os.kill(stopped, signal.SIGSTOP)
            managers[2].get_queue("input").put(None)  # as its feed ends
            while runs(ended):
                time.sleep(0.1)
            began = time.monotonic()
            told = [str(each) for each in join([EngineLaunch(make.nodes, patience=2) for _ in pids], ["a", "b", "c"])]
            assert time.monotonic() - began < 5
        assert f"node 0 on 127.0.0.1 (process {killed}) ended before it took its path" in told[0] and "memory" in told[0]
        assert "node 1 on 127.0.0.1 did not take the path of rank 1's segments within 2 s" in told[1]
        assert f"(process {stopped}, stopped)" in told[1]
        assert f"node 2 on 127.0.0.1 (process {ended}) ended before it took its path" in told[2]

    def test_another_job_of_the_application_holds_up_neither_its_start_nor_its_end(self, spark, tmp_path, monkeypatch):
        monkeypatch.setattr(cluster, "_END_SECONDS", 2.0)
        context, gate, notes = spark.sparkContext, str(tmp_path / "gate"), []
        failed = []

        def executors():
            return ApplicationExecutors(context, Slots(3, 1, 1, local=False), 2)

        def hold(_):
            while not os.path.exists(gate):
                time.sleep(0.1)

        def other_job():
            try:
                context.parallelize([0], 1).foreach(hold)
            except Exception as error:
                failed.append(error)

        job = threading.Thread(target=other_job)
        try:
            with cluster.cluster(executors(), 60, notes.append):
                job.start()
                while not any(map(context.statusTracker().getStageInfo, context.statusTracker().getActiveStageIds())):
                    time.sleep(0.1)
                began = time.monotonic()
            assert time.monotonic() - began < 4
            assert "another job of this application holds an executor" in notes[0]
            with pytest.raises(LaunchFailed, match=r"within 2 s \(cluster.slots_timeout\).*each of the application's 3"):
                with cluster.cluster(executors(), 2, pytest.fail):
                    pass
            assert time.monotonic() - began < 12 and job.is_alive()
        finally:
            Path(gate).touch()
            job.join(20)
        assert not failed, "the other job was cancelled"
