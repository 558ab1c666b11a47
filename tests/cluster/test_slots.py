"""Which settings of an application are refused, with what to submit instead."""

from __future__ import annotations

import pytest

from sparktrain.cluster.executors.slots import refused_setting


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"spark.executor.instances": "3"},
        {"spark.dynamicAllocation.enabled": "false"},
        {"spark.io.encryption.enabled": "false"},
    ],
)
def test_an_application_that_can_train_is_taken(settings):
    assert refused_setting(settings, "yarn", None) is None


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"spark.dynamicAllocation.enabled": "True"}, ["dynamicAllocation.enabled=false and --num-executors"]),
        ({"spark.executor.pyspark.memory": "2g"}, ["pyspark.memory is 2g", "address space", "memoryOverhead"]),
        ({"spark.io.encryption.enabled": "true"}, ["spark.io.encryption.enabled is true", "segments"]),
    ],
)
def test_what_training_can_not_run_with_is_refused_with_what_to_set_instead(settings, told):
    message = refused_setting(settings, "local[2]", None)
    assert all(text in message for text in told)


@pytest.mark.parametrize("master, refused", [("yarn", True), ("k8s://https://api", True), ("spark://node:7077", False)])
def test_containers_too_small_for_a_worker_are_refused_where_the_cluster_limits_memory(master, refused):
    message = refused_setting({"spark.executor.memoryOverhead": "1g"}, master, "2g")
    assert (message is not None) is refused
    assert not refused or ("have 1024 MiB" in message and "spark.executor.memoryOverhead=2432m" in message)
    assert refused_setting({"spark.executor.memoryOverhead": "2432m"}, master, "2g") is None
