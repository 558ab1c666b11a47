"""As many workers as there is room for, between two bounds."""

from __future__ import annotations

import pytest
import yaml

import sparktrain
from sparktrain.cluster.executors.slots import NoSlots, count_slots
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]


def train(frame, small, output, workers, **more):
    return sparktrain.train(
        frame,
        small.build,
        features=["x"],
        label="y",
        engine="horovod",
        workers=workers,
        epochs=1,
        global_batch_size=48,
        keep="none",
        output=f"file://{output}",
        **more,
    )


def test_all_executors_there_are_train_with_the_batch_that_was_asked_for(frame, small, tmp_path):
    result = train(frame, small, tmp_path, {"min": 2, "max": 8})
    assert result.workers == 3 and result.rows == 300
    folder = open_folder(result.output)
    assert yaml.safe_load(folder.read_text("job.yaml"))["training"]["workers"] == {"min": 2, "max": 8}


def test_fewer_than_the_least_are_told_with_the_numbers(frame, small, tmp_path):
    with pytest.raises(NoSlots, match="asks for 4 to 8 workers.*has 3 executors.*after 1 s"):
        train(frame, small, tmp_path, {"min": 4, "max": 8}, cluster={"slots_timeout": 1})


def test_an_executors_cores_are_asked_of_spark_and_no_setting_changes_them(spark):
    """Such as spark.default.parallelism, which users set to anything."""
    conf = spark.sparkContext._jsc.sc().conf()
    conf.set("spark.default.parallelism", "200")
    try:
        assert spark.sparkContext.defaultParallelism == 200
        slots = count_slots(spark.sparkContext)
    finally:
        conf.remove("spark.default.parallelism")
    assert (slots.executors, slots.cores, slots.most) == (3, 1, 3)
