"""Job -> YAML -> Job is the same job."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrain.config import ConfigError, Job, load

TEXT = st.text("az01 .:-#'\"{[é😀", min_size=1, max_size=8) | st.sampled_from(
    ["1e-3", "yes", "null", "7", "a: b", "{", "2013-01-01"]
)
FUNCTION = st.sampled_from(["jobs.flights:prepare", "flights:_more"])
PART = st.floats(0.001, 0.999)
CLASSES = st.one_of(st.lists(kind, min_size=2, max_size=4, unique=True) for kind in (st.integers(-5, 5), TEXT, st.booleans()))
ARGS = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers() | PART | TEXT, lambda inner: st.lists(inner, max_size=2), max_leaves=3
    ),
    max_size=2,
)
SHAPE = st.lists(st.integers(1, 9), max_size=3)
COLUMN = st.fixed_dictionaries({"column": TEXT}, optional={"shape": SHAPE})
SEQUENCE = st.fixed_dictionaries(
    {"column": TEXT, "length": st.integers(1, 9)}, optional={"pad": PART, "side": st.sampled_from(["pre", "post"])}
)
COLUMNS = st.lists(TEXT, min_size=1, max_size=3, unique=True)
FEATURES = COLUMNS | st.dictionaries(TEXT, TEXT | COLUMNS | COLUMN | SEQUENCE, min_size=1, max_size=3)


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Whole jobs, over everything that is built."""
    classes = draw(st.none() | CLASSES)
    a_class = st.integers(-5, 5) if classes is None else st.sampled_from(classes)
    source = draw(st.sampled_from(["path", "table", "sql"]))
    data = {
        source: draw(TEXT | COLUMNS if source == "path" else TEXT),
        "features": draw(FEATURES),
        "label": draw(TEXT) if classes is None else {"column": draw(TEXT), "classes": classes},
        "validation": draw(
            st.fixed_dictionaries({"fraction": PART}, optional={"by": TEXT})
            | st.fixed_dictionaries({"where": TEXT})
            | st.fixed_dictionaries({"path": TEXT | COLUMNS})
        ),
        "sample": draw(
            st.none()
            | st.fixed_dictionaries({"fraction": PART})
            | st.fixed_dictionaries({"per_class": st.integers(1, 99)})
            | st.fixed_dictionaries({"fractions": st.dictionaries(a_class, PART, min_size=1)})
        ),
        **draw(
            st.fixed_dictionaries(
                {}, optional={"where": TEXT, "pipeline": TEXT, "keep": st.sampled_from(["disk", "none"]), "weight": TEXT}
            )
        ),
        **draw(st.sampled_from([{}, {"preprocess": "a:b", "args": draw(ARGS)}])),
        **({"format": "csv", "schema": draw(TEXT), "options": {"header": True}} if source == "path" else {}),
    }
    batch = draw(st.sampled_from([{}, {"batch_size": 3}, {"global_batch_size": 9}]))
    training = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "engine": st.sampled_from(["horovod", "single"]),
                "epochs": st.integers(1, 9),
                "learning_rate": st.sampled_from([0.01, 1e-4]),
                "scale_learning_rate": st.sampled_from([{}, {"warmup_epochs": 0.5}]),
                "save": st.sampled_from(["last", "best"]),
                "early_stopping": st.sampled_from([{}, {"monitor": "loss", "min_delta": 1e-7, "restore_best_weights": True}]),
                "class_weight": st.dictionaries(a_class, PART, min_size=1),
                "callbacks": FUNCTION,
            },
        )
    )
    model = draw(st.sampled_from([{"load": "hdfs:///a/latest"}, {"build": "a:b", "args": draw(ARGS)}]))
    return {
        "name": "a-job",
        "seed": draw(st.integers(0, 99)),
        "data": data,
        "model": model,
        "training": {**batch, **training},
        "output": {"path": draw(TEXT)},
        "cluster": draw(st.sampled_from([{}, {"driver_port": 7077, "stall_timeout": 0.5}])),
    }


KEYS = st.sampled_from(
    [
        "data",
        "training",
        "features",
        "label",
        "sample",
        "fractions",
        "validation",
        "workers",
        "path",
        "epochs",
        "args",
        "early_stopping",
        "<a",
        "",
        7,
        True,
        None,
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@given(ANYTHING)
def test_whatever_comes_is_told_as_a_problem(anything):
    with pytest.raises(ConfigError) as caught:
        Job.from_mapping({"data": anything, "training": anything, "name": 5, "more": anything})
    assert "name" in [problem.key for problem in caught.value.problems]
    with pytest.raises(ConfigError):
        Job.from_mapping(anything)


@settings(max_examples=40)
@given(jobs())
def test_a_job_written_as_yaml_is_the_same_job(tmp_path_factory, mapping):
    job = Job.from_mapping(mapping, whole=True)
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    path.write_text(job.to_yaml(), encoding="utf-8")
    again = load(path)
    assert again == job
    assert again.to_yaml() == job.to_yaml()


def test_the_yaml_holds_the_defaults_too():
    text = Job.from_mapping({"data": {"features": ["a"], "label": "b"}}).to_yaml()
    assert "engine: horovod" in text and "batch_size: 64" in text and "slots_timeout: 600" in text
