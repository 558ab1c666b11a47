"""Every error at once, each with its key, what came, what is allowed and the nearest name."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from sparktrain.config import ConfigError, Job


def test_a_good_job_has_the_documented_defaults(good):
    job = good()
    assert (job.name, job.seed) == ("job", 7)
    assert (job.data.format, job.data.keep, job.data.corrupt) == ("parquet", "disk", "fail")
    training = job.training
    assert (training.engine, training.workers, training.batch_size, training.epochs) == ("horovod", 2, 64, 5)
    assert (training.split, training.average, training.save, training.max_failures) == ("rows", "step", "last", 3)
    assert (job.cluster.slots_timeout, job.cluster.stall_timeout, job.cluster.driver_port) == (600, 300, 0)
    assert job.data.path == ["hdfs:///data/flights"]


def test_every_error_is_told_at_once_with_its_key(wrong):
    problems = wrong(
        {
            "data.keep": "discs",
            "data.features": ["history", 5],
            "training.batch_sise": 64,
            "training.engine": "tensorflow",
            "model.load": "hdfs:///models/a",
            "sed": 3,
        }
    )
    assert {problem.key for problem in problems} == {
        "data.keep",
        "data.features[1]",
        "training.batch_sise",
        "training.engine",
        "model.build",
        "sed",
    }


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("training.batch_sise", "training.batch_size"),
        ("training.global_batchsize", "training.global_batch_size"),
        ("sed", "seed"),
        ("on", "on_end"),
        ("epochs", "training.epochs"),
        ("training.features", "data.features"),
    ],
)
def test_a_misspelt_key_is_told_with_the_nearest(wrong, key, meant):
    [problem] = wrong({key: 64})
    assert problem.key == key
    assert "64" in problem.came
    assert problem.hint == f"did you mean {meant}?"


def test_a_misspelt_key_deep_inside_is_told_with_its_whole_name(wrong):
    [problem] = wrong({"data.features": {"words": {"column": "ids", "lenght": 200}}})
    assert problem.key == "data.features.words.lenght"
    assert "length" in problem.expected
    assert problem.hint == "did you mean data.features.words.length?"


def test_a_misspelt_word_is_told_with_the_nearest_and_all_that_is_allowed(wrong):
    [problem] = wrong({"data.keep": "disks"})
    assert str(problem) == 'data.keep: "disks" came; expected disk | storage | none; did you mean disk?'


def test_any_format_of_spark_s_is_taken_but_one_that_looks_like_a_slip(good, wrong):
    for name, meant in (("parket", "parquet"), ("CSV", "csv"), ("binary_file", "binaryFile")):
        [problem] = wrong({"data.format": name})
        assert problem.hint == f"did you mean {meant}?"
    for name in ("iceberg", "binaryFile", "delta"):
        assert good({"data.format": name}).data.format == name
    [problem] = wrong({"data.format": "jdbc"})
    assert "data.table" in problem.hint and "JDBCTableCatalog" in problem.hint


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training.epochs", "5", "a whole number (at least 1)"),
        ("training.epochs", True, "a whole number (at least 1)"),
        ("training.epochs", 2.0, "a whole number (at least 1)"),
        ("training.epochs", 0, "a whole number (at least 1)"),
        ("training.epochs", None, "a whole number (at least 1)"),
        ("training.workers", "two", "a whole number (at least 1) or {min, max}"),
        ("training.workers", 0, "a whole number (at least 1) or {min, max}"),
        ("training.gpus_per_worker", "all", "auto or a whole number (at least 0)"),
        ("training.average", "row", "step | epoch or a whole number (at least 1)"),
        ("training.time_limit", True, "a number (above 0) or {minutes, then}"),
        ("data.path", [], "a string or [a string, …]"),
        (
            "data.features",
            "history",
            "[a string or {column, shape, length, pad, side}, …] or {NAME: a string, [a string, …] or "
            "{column, shape, length, pad, side}, …}",
        ),
        ("data.label", 5, "a string, [a string, …], {column, classes} or {NAME: a string, …}"),
        ("model.modules", "my_layers", "[a module's name, …]"),
        ("data.preprocess", "jobs/flights.py", "module:function"),
        ("cluster.worker_memory", 8, "a size such as 800m, 8g or 1t"),
        ("cluster.driver_port", 70000, "a whole number (at least 0, at most 65535)"),
        ("cluster.slots_timeout", float("inf"), "a number (above 0)"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_what_is(wrong, key, value, expected):
    [problem] = wrong({key: value})
    assert (problem.key, problem.expected) == (key, expected)


def test_a_part_out_of_bounds_is_told_with_the_bounds(wrong):
    assert [
        (problem.key, problem.expected)
        for problem in wrong({"data.sample": {"fractions": {7: 2.0}}, "data.validation": {"fraction": 1}})
    ] == [
        ("data.validation.fraction", "a number (above 0, below 1)"),
        ("data.sample.fractions.7", "a number (above 0, at most 1)"),
    ]


def test_what_is_required_and_missing_is_told(wrong):
    [problem] = wrong({"data": {"path": "hdfs:///a", "label": "late"}})
    assert (problem.key, problem.came) == ("data.features", "nothing came")


def test_a_section_that_is_no_mapping_is_told_and_the_others_are_still_checked(wrong):
    assert {problem.key for problem in wrong({"cluster": 5, "training.save": "best"})} == {"cluster", "training.save"}
    assert [problem.key for problem in wrong({"data": "hdfs:///data/flights"})] == ["data"]


def test_what_is_no_mapping_at_all_is_told():
    with pytest.raises(ConfigError, match="expected a mapping with the keys name, seed, data"):
        Job.from_mapping(["name"])


def test_an_empty_section_is_as_good_as_none(good):
    assert good({"training": None, "cluster": None}) == good()


def test_labels_may_be_integers_strings_and_booleans(good):
    assert good({"data.sample": {"fractions": {7: 0.1, True: 0.5, "refund": 1}}}).data.sample.fractions == {
        7: 0.1,
        True: 0.5,
        "refund": 1.0,
    }
    assert good({"training.class_weight": {0: 1, 1: 5}}).training.class_weight == {0: 1.0, 1: 5.0}


def test_a_label_that_is_a_fraction_is_refused(wrong):
    [problem] = wrong({"data.sample": {"fractions": {1.5: 0.1}}})
    assert problem.expected == "an integer, a string or a boolean"


def test_numbers_in_scientific_notation_are_taken_from_strings_too(good):
    job = good({"training.early_stopping": {"monitor": "loss", "min_delta": "1e-3"}})
    assert job.training.early_stopping.min_delta == 1e-3


@pytest.mark.parametrize("value", [{"since": object()}, {"by_class": {7: 0.1}}, {1: 2}])
def test_arguments_must_survive_the_way_to_the_workers(wrong, value):
    [problem] = wrong({"model.args": value})
    assert problem.key.startswith("model.args")


def test_tuples_count_as_lists(good):
    assert good({"data.features": ("history", "flight")}) == good()


def test_a_job_cannot_be_changed(good):
    with pytest.raises(ValidationError, match="frozen"):
        good().training.epochs = 9


def test_a_program_need_not_name_rows_model_and_output_but_a_file_must():
    mapping = {"data": {"features": ["a"], "label": "b"}}
    assert Job.from_mapping(mapping).output.path is None
    with pytest.raises(ConfigError) as caught:
        Job.from_mapping(mapping, whole=True)
    assert [problem.key for problem in caught.value.problems] == ["data.path", "model.build", "output.path"]


def test_the_inputs_have_one_form_whichever_the_job_has(good):
    plain = good({"data.weight": "w"}).data
    assert [(one.name, [column.column for column in one.columns]) for one in plain.inputs] == [
        ("history", ["history"]),
        ("flight", ["flight"]),
    ]
    assert plain.columns == ("history", "flight", "late", "w")
    named = good(
        {
            "data.features": {
                "when": ["month", "hour"],
                "image": {"column": "pixels", "shape": [28, 28]},
                "words": {"column": "ids", "length": 200, "pad": -1, "side": "pre"},
            },
            "data.label": {"column": "intent", "classes": ["refund", "other"]},
        }
    ).data
    assert [column.column for column in named.inputs[0].columns] == ["month", "hour"]
    assert named.inputs[1].columns[0].shape == (28, 28)
    words = named.inputs[2].columns[0]
    assert (words.column, words.length, words.pad, words.side) == ("ids", 200, -1, "pre")
    assert (named.label_column, named.classes) == ("intent", ["refund", "other"])


def test_a_global_batch_is_dealt_out_as_evenly_as_it_goes(good):
    assert good().training.batch_sizes(2) == (64, 64)
    assert good({"training.global_batch_size": 130, "training.workers": 3}).training.batch_sizes(3) == (44, 43, 43)


def test_jobs_and_errors_travel_between_processes(good):
    assert pickle.loads(pickle.dumps(good())) == good()
    with pytest.raises(ConfigError) as caught:
        Job.from_mapping({})
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
