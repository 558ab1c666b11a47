"""The run that another goes on from: which modules its model needs, and what is told where they aren't at hand."""

from __future__ import annotations

import pytest

from sparktrain.config import ConfigError, Job
from sparktrain.data import UnfitColumn
from sparktrain.driver.model.model_source import from_object, from_parent
from sparktrain.driver.model.parent_run import ParentRun
from sparktrain.usercode.modules import modules_needed

JOB = {"data": {"features": ["x"], "label": "y"}, "model": {"load": "hdfs:///models/latest"}}


@pytest.fixture
def folder(tmp_path):
    for name in ("layers", "more", "builders"):
        (tmp_path / f"{name}.py").write_text("")
    return str(tmp_path)


def parent(**words) -> ParentRun:
    return ParentRun("hdfs:///models/first", None, None, **{"job": {"model": {"build": "builders:model"}}, **words})


def test_a_loaded_model_comes_with_the_modules_of_its_record_and_of_the_job(folder):
    job = Job.from_mapping({**JOB, "model": {**JOB["model"], "modules": ["more"]}})
    source = from_parent(parent(custom_objects={"Twice": "layers"}, modules=["layers", "more"]), job, [folder])
    assert source.modules == ["more", "layers"] and source.source.modules == ("more", "layers")
    assert source.source.file == "hdfs:///models/first/model.keras" and source.source.objects is None


def test_plain_keras_needs_no_module_and_a_run_that_does_not_say_is_tried_with_its_builders(folder):
    job = Job.from_mapping(JOB)
    assert from_parent(parent(modules=[]), job, ["/nowhere"]).modules == []
    assert from_parent(parent(modules=None), job, [folder]).modules == ["builders"]
    assert from_parent(parent(modules=None), job, ["/nowhere"]).modules == []


def test_classes_that_are_not_at_hand_are_refused_before_anything_with_what_to_do(folder):
    job = Job.from_mapping(JOB)
    with pytest.raises(
        ConfigError, match=r"model\.load: .*custom .*\(Twice\), and there is no module 'gone'.*PYTHONPATH.*looked in"
    ) as caught:
        from_parent(parent(custom_objects={"Twice": "gone", "far": "layers"}, modules=["gone", "layers"]), job, [folder])
    assert caught.value.problems[0].key == "model.load"


@pytest.mark.real
def test_classes_of_a_script_are_refused_where_this_program_has_none_of_that_name(folder):
    job = Job.from_mapping(JOB)
    with pytest.raises(
        ConfigError, match=r"a script or a notebook.*mine>Twice.*move them into a module and name that in model\.modules"
    ):
        from_parent(parent(custom_objects={"mine>Twice": "__main__"}, modules=[]), job, [folder])


@pytest.mark.real
def test_a_compiled_models_own_names_are_looked_at_before_anything_is_read(folder):
    import keras

    inputs = [keras.Input((2,), name=name) for name in ("history", "flight")]
    model = keras.Model(inputs, keras.layers.Dense(1, name="late")(keras.layers.Concatenate()(inputs)))
    with pytest.raises(UnfitColumn, match="names the inputs past, flight, and the model's are history, flight"):
        from_object(model, Job.from_mapping({"data": {"features": {"past": "a", "flight": "b"}, "label": "y"}}), None)
    with pytest.raises(UnfitColumn, match="names the output lat, and the model's only output is late"):
        from_object(model, Job.from_mapping({"data": {"features": ["a", "b"], "label": {"lat": "y"}}}), None)


def test_a_record_names_modules_only_where_the_model_has_something_of_its_own():
    assert modules_needed({}, ["layers"]) == []
    assert modules_needed({"Twice": "layers", "far": "losses", "Own": "__main__"}, ["more"]) == ["more", "layers", "losses"]
