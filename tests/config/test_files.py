"""YAML files and `--set`: what is read, and where an error says that it was said."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparktrain.config import ConfigError, load
from sparktrain.config.overrides import apply
from sparktrain.config.yamltext import dump, parse

TEXTS = st.text("az019 .:-#\u2028'\"{[&*!%@,?\\\n\té…😀\x85", max_size=12) | st.sampled_from(
    ["1e-3", "on", "no", "null", "~", "08", "0o7", "12:30", "2013-01-01", "1_000", ".inf", "a: b", "# c", "<<", "=", ""]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers(2), inner, max_size=3), max_leaves=6
)
NAMES = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda name: name not in ("null", "true", "false"))


@settings(max_examples=50)
@given(VALUES)
def test_what_is_written_is_read_again(value):
    assert parse(dump(value), "")[0] == value


@settings(max_examples=50)
@given(VALUES)
def test_what_is_written_means_the_same_to_readers_of_yaml_1_1(value):
    assert yaml.safe_load(dump(value)) == value


@settings(max_examples=50)
@given(st.lists(NAMES, min_size=1, max_size=4), VALUES)
def test_set_puts_any_value_at_any_key(parts, value):
    mapping = {}
    nested = isinstance(value, (dict, list))
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6) if nested else dump(value)
    assert apply(mapping, {}, [f"{'.'.join(parts)}={text}"]) == []
    if value is None and len(parts) == 2:
        assert mapping == {parts[0]: {}}
        return
    for part in parts:
        mapping = mapping[part]
    assert mapping == parse(text, "")[0]


@given(st.text("ab01.=:-#'\"{}[]&*!%@,? \\\n\té\x1f", max_size=20))
@example("!!int x")
@example("!!bool x")
@example("!!timestamp x")
@example("&a [*a]")
def test_set_never_raises_whatever_is_typed(text):
    apply({}, {}, [text, f"a.b={text}", f"{text}=1"])


def test_set_replaces_adds_and_removes(write, good_text):
    job = load(
        write(good_text),
        [
            "training.epochs=3",
            "data.features=[a, b, c]",
            "data.validation.fraction=1e-1",
            "data.sample.fractions.7=0.5",
            'data.sample.fractions."8"=0.25',
            "data.path=null",
            "training.workers=8",
            "training.engine=single",
            "training.workers=null",
            "data.sql=SELECT * FROM t WHERE a = 'b'",
            "training.epochs=4",
        ],
    )
    assert (job.training.epochs, job.training.workers) == (4, 1)  # with null a key has its default
    assert job.data.features == ["a", "b", "c"]
    assert job.data.validation.fraction == 0.1
    assert job.data.sample.fractions == {7: 0.5, "8": 0.25}
    assert (job.data.path, job.data.sql) == (None, "SELECT * FROM t WHERE a = 'b'")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("training.epoch=3", "training.epoch"),
        ("training.epochs=three", "training.epochs"),
        ("data.features=[a, 5]", "data.features[1]"),
        ("training.time_limit=0", "training.time_limit"),
        ("training.global_batch_size=1", "training.global_batch_size"),
        ("data.label.classes=[a, b]", "data.label"),
        ("data.where='a' = b", "data.where"),
    ],
)
def test_a_wrong_set_gives_the_same_error_and_says_where_it_came_from(refused, good_text, override, key):
    [problem] = refused(good_text, override).problems
    assert problem.key == key
    assert problem.place == f"--set {override}"


@pytest.mark.parametrize("override", ["training.epochs", "=3", "a..b=3", ".a=3", "a.=3", ""])
def test_a_set_that_is_no_key_and_value_is_refused(refused, good_text, override):
    [problem] = refused(good_text, override).problems
    assert problem.expected == "a dotted key, = and a value as YAML"


def test_a_set_leaves_what_an_alias_shares_alone(write):
    job = load(
        write(
            "data: {path: p, features: [x], label: y, validation: {fraction: 0.1}, args: &a {k: 1}, "
            "preprocess: a:b}\nmodel: {build: a:b, args: *a}\noutput: {path: p}\n"
        ),
        ["model.args.k=2"],
    )
    assert (job.data.args, job.model.args) == ({"k": 1}, {"k": 2})


def test_an_error_says_its_file_and_line(refused, good_text):
    error = refused(good_text + "training:\n  epochs: 3\n  batch_sise: 64\n")
    [problem] = error.problems
    line = good_text.count("\n") + 3
    assert problem.place.endswith(f"job.yaml:{line}")
    assert "training.batch_sise: no such key (64 came)" in str(error)


def test_a_key_that_stands_twice_is_refused_with_both_lines(refused, good_text):
    error = refused(good_text + "seed: 1\nseed: 2\n")
    [problem] = error.problems
    assert (problem.key, problem.came) == ("seed", "the key is set twice")
    assert f":{good_text.count(chr(10)) + 1}" in problem.hint
    assert problem.place.endswith(f":{good_text.count(chr(10)) + 2}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("data:\n  path: [a\nmodel: 3\n", 3),
        ("data:\n\tpath: a\n", 2),
        ("a: b: c\n", 1),
        ("a: *nothing\n", 1),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: !!python/object:os.system {}\n", 1),
        ("{a: 1}: 2\n", 1),
    ],
)
def test_what_is_not_yaml_is_refused_with_file_and_line(refused, text, line):
    error = refused(text)
    assert any(
        problem.place.endswith(f"job.yaml:{line}") and problem.came.startswith("not YAML") for problem in error.problems
    ), str(error)


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n"])
def test_an_empty_file_is_told_what_it_lacks(refused, text):
    assert "data" in [problem.key for problem in refused(text).problems]


def test_a_file_that_is_not_there_is_told_with_the_nearest(write, good_text):
    path = write(good_text)
    with pytest.raises(ConfigError, match=r"No such file.*did you mean .*job\.yaml"):
        load(path.with_name("jobs.yaml"))


def test_a_file_that_is_no_text_is_refused(write):
    path = write("")
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8: .* at byte 6"):
        load(path)


def test_words_are_strings_and_only_true_and_false_booleans(write, good_text):
    job = load(
        write(good_text),
        [
            "data.label={column: late, classes: [yes, no]}",
            "model.args={since: 2013-01-01, at: 12:30, rate: 1e-3, units: 010, mask: 0x1F, flag: true}",
        ],
    )
    assert job.data.classes == ["yes", "no"]
    assert job.model.args == {"since": "2013-01-01", "at": "12:30", "rate": 1e-3, "units": 10, "mask": 31, "flag": True}
