"""The configuration of a search: what is accepted, and what is refused by the names of its keys."""

from __future__ import annotations

import pytest
import yaml

from sparktrain.config import BaseJob, ConfigError, Range, load_search
from sparktrain.config.rules.search import check_space

BASE = {
    "name": "mine",
    "data": {"path": "hdfs:///x", "features": ["x"], "label": "y", "validation": {"fraction": 0.1}},
    "model": {"build": "mine:build", "args": {"units": 3}},
    "training": {"engine": "single"},
    "output": {"path": "hdfs:///models"},
}
SEARCH = {
    "base": "mine.yaml",
    "trials": 4,
    "space": {"model.args.units": {"int": [16, 256], "log": True}, "training.batch_size": {"choice": [32, 64, 128]}},
    "goal": {"metric": "val_auc", "mode": "max"},
}


@pytest.fixture
def loaded(tmp_path):
    """Loads a search whose file has other keys; `base` are those of its job."""

    def load(*overrides, base=BASE, **keys):
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(base))
        (tmp_path / "tune.yaml").write_text(yaml.safe_dump({**SEARCH, **keys}))
        return load_search(tmp_path / "tune.yaml", overrides)

    return load


def refused(call, *args, **keys) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*args, **keys)
    return str(caught.value)


def test_a_trial_s_job_is_the_base_with_the_trial_s_values(loaded):
    search, base = loaded("base.training.epochs=3", "parallel=2")
    job = base.job({"model.args.units": 20, "training.batch_size": 32})
    assert (job.model.args, job.training.batch_size, job.training.epochs, search.parallel) == ({"units": 20}, 32, 3, 2)
    assert base.mapping["model"]["args"] == {"units": 3}


def test_a_key_may_take_the_place_of_one_that_the_base_has_by_default(loaded):
    _, base = loaded(space={"training.global_batch_size": {"choice": [64, 128]}}, trials=2)
    assert base.job({"training.global_batch_size": 64}).training.batch_sizes(1) == (64,)


def test_a_key_that_the_job_lacks_is_named_with_the_nearest(loaded):
    said = refused(loaded, space={"training.batchsize": {"choice": [1, 2]}}, trials=2)
    assert "training.batchsize: no such key" in said and "did you mean training.batch_size?" in said


def test_every_value_of_a_list_and_both_ends_of_a_range_must_make_a_job(loaded):
    said = refused(loaded, space={"training.batch_size": {"int": [0, 8]}})
    assert "training.batch_size" in said and "at least 1" in said
    said = refused(loaded, space={"training.engine": {"choice": ["single", "horovot"]}}, trials=2)
    assert 'space.training.engine: with "horovot", the job can\'t work' in said


@pytest.mark.parametrize(
    "space, problem",
    [
        ({"int": [1, 2], "choice": [1]}, "choice and int came together; expected exactly one"),
        ({}, "none of choice, int and float came"),
        ({"choice": [1, 1]}, "occurs 2 times"),
        ({"choice": [1, 2], "log": True}, "log: true came with choice"),
        ({"int": [5, 5]}, "[5, 5]; expected the smaller one first"),
        ({"float": [0.0, 1.0], "log": True}, "came with log: true; expected a range above 0"),
        ({"float": [0.1, 1.0], "log": True, "step": 0.1}, "step: 0.1 came with log: true"),
        ({"int": [1, 9], "step": 0.5}, "expected a whole number, as the range is of int"),
    ],
)
def test_a_range_that_is_none_is_refused(loaded, space, problem):
    assert problem in refused(loaded, space={"model.args.units": space})


@pytest.mark.parametrize(
    "keys, problem",
    [
        ({"trials": None}, "trials: nothing came"),
        ({"sampler": "grid"}, "space.model.args.units: a range without a step came with sampler: grid"),
        ({"space": {"training.batch_size": {"choice": [1, 2]}}}, "trials: 4 came for a space that has only 2 points"),
        ({"sampler": "random", "study": "sqlite:///x"}, "study: came with sampler: random"),
        ({"goal": {"metric": "val_auc", "mode": "maximum"}}, "goal.mode"),
        ({"sampler": "tpo"}, "did you mean tpe?"),
        ({"space": {"output.path": {"choice": ["a", "b"]}}, "trials": 2}, "expected a key that changes what is learnt"),
        ({"space": {"model.args": {"choice": [{}, {"a": 1}]}, "model.args.units": {"choice": [1, 2]}}}, "which it is a part of"),
        ({"trial": 3}, "did you mean trials?"),
    ],
)
def test_a_search_that_can_t_work_is_refused(loaded, keys, problem):
    assert problem in refused(loaded, **keys)


def test_a_metric_of_validation_rows_needs_some(loaded):
    base = {**BASE, "data": {key: value for key, value in BASE["data"].items() if key != "validation"}}
    assert "goal.metric: val_auc came without data.validation" in refused(loaded, base=base)
    loaded(base=base, goal={"metric": "auc", "mode": "max"})


def test_the_problems_of_the_job_are_its_own(loaded):
    base = {**BASE, "training": {"engine": "single", "epoch": 3}}
    assert "mine.yaml can't work" in refused(loaded, base=base)


def test_a_grid_has_as_many_points_as_the_lists_have_combinations():
    assert Range(int=[2, 8], step=3).points == [2, 5, 8]
    assert Range(float=[0.0, 0.3], step=0.1).points == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert Range(int=[2, 8]).points is None


def test_a_program_s_job_is_checked_with_its_unknown_arguments(loaded):
    search, _ = loaded()
    base = BaseJob({"data": {"features": ["x"], "label": "y", "validation": {"fraction": 0.1}}})
    assert check_space(search, base).training.batch_size == 32
