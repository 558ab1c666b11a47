"""Models of several inputs and outputs, shared and own layers, own losses, mixed precision, schedules: trained whole."""

from __future__ import annotations

import numpy
import pytest
from pyspark.sql import functions as F

import sparktrain
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.config import Job
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children", "small")]


@pytest.fixture
def odd(small):
    import odd

    return odd


def test_each_label_reaches_its_output_and_the_model_trains_and_loads(frame, odd):
    result = sparktrain.train(
        frame.withColumn("z", F.reverse("x")),
        odd.build,
        args={"named": True},
        features=["x", "z"],
        label=["y", "number"],
        workers=2,
        batch_size=16,
        epochs=4,
        validation={"where": "number < 30"},
    )
    assert result.history["count_ids"] == [sum(range(30, 300))] * 4  # every number once an epoch, at its own output
    assert result.history["val_count_ids"] == [sum(range(30))] * 4
    assert result.history["loss"][-1] < 0.8 * result.history["loss"][0] and result.history["sure_accuracy"][-1] > 0.7
    model = result.model
    answers = model.predict([numpy.ones((5, 4)), numpy.ones((5, 4))], verbose=0)
    assert [answers[name].shape for name in ("sure", "count")] == [(5, 1), (5, 1)]
    assert result.summary["modules"] == ["odd"] and result.summary["custom_objects"]["odd>Scaled"] == "odd"
    # The next night's job names the run alone
    job = Job.from_mapping(
        {
            "name": "odd",
            "data": {"features": ["x", "z"], "label": ["y", "number"]},
            "model": {"load": result.output},
            "training": {"engine": "single", "epochs": 1},
        }
    )
    try:
        more = run_job(frame.sparkSession, job, supplied=SuppliedObjects(frame=frame.withColumn("z", F.reverse("x"))))
        assert more.history["loss"][0] < result.history["loss"][0] and more.summary["modules"] == ["odd"]
    finally:
        result.delete()


def test_a_model_that_can_t_be_fed_is_refused_with_the_reason(frame, odd):
    with pytest.raises(AttemptFailed, match="layer 'memory' is stateful.*stateful=False"):
        sparktrain.train(
            frame,
            odd.build_stateful,
            features={"x": {"column": "x", "shape": [4, 1]}},
            label="number",
            workers=1,
            engine="single",
        )
    with pytest.raises(AttemptFailed, match=r"the model has 2 outputs .* 1 label\(s\): data.label must list"):
        sparktrain.train(
            frame, odd.build, args={"named": False}, features={"x": "x", "z": ["x"]}, label="y", workers=1, engine="single"
        )
