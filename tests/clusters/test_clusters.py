"""One job, unchanged, on every kind of cluster."""

from __future__ import annotations

import re
import time

import numpy
import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.clusters, pytest.mark.timeout(600)]
GPU = ["--conf", "spark.executor.resource.gpu.amount=1"]
YARN = ["--master", "yarn", "--num-executors", "2"]


@pytest.fixture(scope="session")
def standalone(clusters):
    """Two executors of two cores, each with the GPU of its node."""
    return ["--master", clusters.master_url, "--executor-cores", "2", "--conf", "spark.cores.max=4", *GPU,
            "--conf", "spark.task.resource.gpu.amount=0.5"]


@pytest.fixture(scope="session")
def reference(submit):
    """The job in a local-cluster, whose model all others must have, too."""
    end = submit(["--master", "local-cluster[2,1,1024]"])
    assert end.status == 0 and end.line["status"] == "finished", end.errors
    return end.weights()


@pytest.fixture(params=["standalone", "yarn, client", "yarn, cluster"])
def cluster(request):
    """spark-submit's options for one kind of cluster, and the GPUs that its workers are to be pinned to."""
    if request.param == "standalone":
        return request.getfixturevalue("standalone"), {"0", "1"}
    if request.param == "yarn, cluster":   # with nothing on the nodes but Java and Python
        return [*YARN, "--deploy-mode", "cluster", *request.getfixturevalue("environment")], {"none"}
    # YARN says how many; which ones, the executors settle among themselves.
    return [*YARN, *GPU, "--conf", "spark.executorEnv.SPARKTRAIN_GPU_LIST=0 1"], {"0", "1"}


def test_a_job_trains_the_same_model_and_each_worker_has_its_own_gpu(cluster, submit, reference):
    options, gpus = cluster
    end = submit(options)
    assert end.status == 0 and end.line["status"] == "finished" and end.line["workers"] == 2, end.errors
    for mine, expected in zip(end.weights(), reference, strict=True):
        numpy.testing.assert_array_equal(mine, expected)
    workers = re.findall(r"\[(\d)\] GPU (\S+) of (\S+)", end.log())
    assert sorted(rank for rank, _, _ in workers) == ["0", "1"]
    assert {gpu for _, gpu, _ in workers} == gpus
    if "cluster" in options:   # by the environment that was shipped
        assert all("/container_" in python and python.endswith("/environment/bin/python") for _, _, python in workers)


def test_a_misspelled_key_is_refused_in_seconds_and_nothing_is_submitted(submit):
    begun = time.monotonic()
    end = submit([*YARN, "--deploy-mode", "cluster"], "--set", "training.epoch=3")
    assert (end.status, end.line["status"]) == (2, "refused") and "training.epochs" in end.line["reason"]
    assert time.monotonic() - begun < 10 and "application_" not in end.errors


def test_what_fails_on_the_cluster_is_told_where_it_was_submitted(submit, environment):
    end = submit([*YARN, "--deploy-mode", "cluster", *environment], "--set", "data.features=[y]")
    assert (end.status, end.line["status"]) == (2, "refused") and "'y'" in end.line["reason"], end.errors


def test_the_oldest_spark_that_is_promised_trains_the_same_model(submit, reference, oldest_spark):
    end = submit(["--master", "local-cluster[2,1,1024]"], SPARK_HOME=oldest_spark)
    assert end.status == 0 and end.line["status"] == "finished", end.errors
    for mine, expected in zip(end.weights(), reference, strict=True):
        numpy.testing.assert_array_equal(mine, expected)
    assert end.lineage()["versions"]["pyspark"] == "4.1.0"


def test_two_jobs_begun_together_both_finish_and_one_waits_for_the_other(begin, standalone):
    ends = [end() for end in [begin(standalone, "--set", f"training.epochs={epochs}") for epochs in (2, 3)]]
    assert [end.status for end in ends] == [0, 0], [end.errors for end in ends]
    waited = [end for end in ends if re.search(r"waiting for .*app-\d+-\d+ \(mine, user", end.log() + end.errors)]
    assert len(waited) == 1, [end.log() for end in ends]
