"""One job, unchanged, on every kind of cluster."""

from __future__ import annotations

import re
import signal
import time

import numpy
import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.clusters, pytest.mark.timeout(1200)]
GPU = ["--conf", "spark.executor.resource.gpu.amount=1"]
YARN = ["--master", "yarn", "--num-executors", "2"]


@pytest.fixture(scope="module")
def reference(submit, oldest_spark):
    """The job in a local-cluster of the oldest Spark that is promised: all others must have its model, too."""
    end = submit(["--master", "local-cluster[2,1,1024]"], SPARK_HOME=oldest_spark)
    assert end.status == 0 and end.line["status"] == "finished", (end.line["reason"], end.errors)
    assert end.lineage()["versions"]["pyspark"] == "4.0.1"
    return end.weights()


def trained(end, reference, gpus: int, cores: int = 1) -> bool:
    """Whether it trained the model that is expected, by two workers of which each had a GPU and all cores of an executor."""
    assert end.status == 0 and end.line["status"] == "finished" and end.line["workers"] == 2, end.errors
    for mine, expected in zip(end.weights(), reference, strict=True):
        numpy.testing.assert_array_equal(mine, expected)
    workers = re.findall(r"\[(\d)\] GPU (\S+) of \S+ threads (\d+)", end.log())
    assert sorted(rank for rank, _, _ in workers) == ["0", "1"] and {threads for _, _, threads in workers} == {str(cores)}
    pinned = {gpu for _, gpu, _ in workers}
    assert pinned == {"none"} if gpus == 0 else len(pinned) == 2 and pinned <= {str(gpu) for gpu in range(gpus)}
    # They are pretended, so nobody trains on the CPU unawares who was given one.
    unseen = re.findall(r"\[(\d)\] this worker was given GPU (\d), and TensorFlow sees none", end.log())
    assert len(unseen) == (2 if gpus else 0)
    return True


def test_on_yarn_a_job_trains_the_same_model_and_each_worker_has_its_own_gpu(submit, reference, environment):
    """YARN says how many GPUs; which ones, the executors settle among themselves."""
    options = [*YARN, *environment, *GPU, "--conf", "spark.executorEnv.SPARKTRAIN_GPU_LIST=0 1"]
    assert trained(submit(options), reference, gpus=2)


def test_in_yarn_s_cluster_mode_too_with_nothing_on_the_nodes_but_java_and_python(submit, reference, environment):
    end = submit([*YARN, "--deploy-mode", "cluster", *environment])
    assert trained(end, reference, gpus=0)
    pythons = re.findall(r"\[\d\] GPU none of (\S+)", end.log())
    assert all("/container_" in python and python.endswith("/environment/bin/python") for python in pythons)


def test_a_misspelled_key_is_refused_in_seconds_and_nothing_is_submitted(submit):
    begun = time.monotonic()
    end = submit([*YARN, "--deploy-mode", "cluster"], "--set", "training.epoch=3")
    assert (end.status, end.line["status"]) == (2, "refused") and "training.epochs" in end.line["reason"]
    assert time.monotonic() - begun < 10 and "application_" not in end.errors


def test_what_fails_on_the_cluster_is_told_where_it_was_submitted(submit, environment):
    end = submit([*YARN, "--deploy-mode", "cluster", *environment], "--set", "data.features=[y]")
    assert (end.status, end.line["status"]) == (2, "refused") and "'y'" in end.line["reason"], end.errors


def test_ctrl_c_in_cluster_mode_ends_the_application_and_leaves_no_process(begin, environment, containers):
    earlier = set(containers("sparktrain.worker"))  # of the last job, which YARN may still be ending
    end = begin([*YARN, "--deploy-mode", "cluster", *environment], "--set", "training.epochs=100000")
    until = time.monotonic() + 300
    while len(set(containers("sparktrain.worker")) - earlier) < 2:
        assert time.monotonic() < until and end.process.poll() is None, "two workers did not begin within 300 s"
        time.sleep(0.5)
    end.process.send_signal(signal.SIGINT)
    ended = end()
    assert (ended.status, ended.line["status"]) == (1, "stopped"), ended.errors
    application = re.search(r"application_(\d+_\d+)", ended.errors)[1]
    until = time.monotonic() + 20
    while left := [each for each in containers("") if f"_{application}_" in each]:
        assert time.monotonic() < until, f"{left} are still there 20 s after the launcher's end"
        time.sleep(0.5)


@pytest.mark.failures
def test_yarn_ends_a_container_that_takes_more_memory_than_it_asked_for_and_the_job_says_what_to_set(
    submit, environment, note_failure
):
    end = submit(
        ["--master", "yarn", "--num-executors", "1", *environment, "--conf", "spark.executor.memoryOverhead=64m"],
        "--set",
        "training.engine=single",
        "--set",
        "training.workers=1",
        "--set",
        "cluster.worker_memory=null",
        "--set",
        "training.max_failures=0",
    )
    assert (end.status, end.line["status"]) == (1, "failed"), end.errors
    assert "physical memory limit" in end.line["reason"] and "more with cluster.worker_memory" in end.line["reason"]
    note_failure(
        "A worker out of memory, on YARN",
        "ends with rank, host, YARN's numbers and `cluster.worker_memory`; tried again as often as `max_failures` says",
    )


def test_of_two_jobs_that_are_begun_together_with_slots_for_one_and_a_half_one_waits_and_both_train(begin, clusters, reference):
    """On Spark's own cluster of three GPUs, with two workers a job, which Spark would put on one executor."""
    options = [
        "--master",
        clusters.master_url,
        "--executor-cores",
        "2",
        "--conf",
        "spark.cores.max=4",
        *GPU,
        "--conf",
        "spark.task.resource.gpu.amount=0.5",
    ]
    ends = [end() for end in [begin(options, "--run-id", name) for name in ("one", "other")]]
    assert all(trained(end, reference, gpus=3, cores=2) for end in ends)
    waited = [end for end in ends if re.search(r"waiting for .*app-\d+-\d+ \(mine, user", end.log() + end.errors)]
    assert len(waited) == 1, [end.log() for end in ends]
