"""A job's keys as keyword arguments: what editors and `help` show, and what a wrong argument is told."""

from __future__ import annotations

import inspect
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from sparktrain.config import ConfigError, Training
from sparktrain.config.keywords import KEYWORDS, in_signature, job_of_keywords
from sparktrain.interfaces.engines import ENGINES

ROOT = Path(__file__).resolve().parents[2]
ROWS = {"features": ["x"], "label": "y"}


@in_signature
def takes(frame: Any, *, run_id: str | None = None, **keywords: Any) -> dict[str, Any]:
    """Take the arguments.

    Args:
        frame: the rows.
        **keywords: the others.

    Returns:
        What came.
    """
    return keywords


def test_every_key_of_training_is_an_argument_with_its_default():
    arguments = inspect.signature(takes).parameters
    for name, field in Training.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = arguments[name].default
        assert shown == (default.model_dump() if hasattr(default, "model_dump") else default), name
    assert arguments["features"].default is inspect.Parameter.empty is arguments["label"].default
    assert "keywords" not in arguments and takes("frame", epochs=3) == {"epochs": 3}


def test_the_docstring_has_every_argument_and_what_it_means():
    shown = inspect.getdoc(takes)
    assert "keywords" not in shown and "\n    frame: the rows.\n" in shown and "Returns:\n    What came." in shown
    for name, keyword in KEYWORDS.items():
        assert f"\n    {name}: {' '.join(keyword.text.split()[:5])}" in shown


@pytest.mark.parametrize(
    "name, kind",
    [
        ("epochs", "int | None"),
        ("engine", f"Literal[{', '.join(map(json.dumps, ENGINES))}] | None"),
        ("average", 'Literal["step", "epoch"] | int | None'),
        ("files", "Sequence[str] | None"),
        ("class_weight", "Mapping[Any, float] | None"),
        ("early_stopping", "Mapping[str, Any] | None"),
        ("checkpoint", "Mapping[str, Any] | Literal[False] | None"),
        ("features", "Sequence[str | Mapping[str, Any]] | Mapping[str, str | Sequence[str] | Mapping[str, Any]]"),
        ("pipeline", "str | Estimator | Transformer | None"),
    ],
)
def test_an_argument_has_the_type_that_the_schema_allows(name, kind):
    assert KEYWORDS[name].type == kind


def test_what_editors_complete_from_is_the_schema_s():
    written = (ROOT / "sparktrain" / "driver" / "train_keywords.py").read_text(encoding="utf-8")
    made = runpy.run_path(str(ROOT / "docs" / "train_keywords.py"))["module"]()
    assert written == made, "write it again: python docs/train_keywords.py"


def test_arguments_are_sorted_into_the_sections_of_a_job():
    cluster = {"slots_timeout": 5}
    job = job_of_keywords("mine", ROWS | {"epochs": 3, "output": "/models", "args": {"units": 4}, "seed": 1, "cluster": cluster})
    assert (job.name, job.seed, job.training.epochs, job.output.path) == ("mine", 1, 3, "/models")
    assert job.model.args == {"units": 4} and job.cluster.slots_timeout == 5 and job.data.label_column == "y"


def test_none_takes_the_default_and_false_sets_nothing_at_all():
    job = job_of_keywords("mine", ROWS | {"epochs": None, "checkpoint": None})
    assert job.training.epochs == 5 and job.training.checkpoint is not None
    assert job_of_keywords("mine", ROWS | {"checkpoint": False}).training.checkpoint is None


@pytest.mark.parametrize(
    "word, told",
    [
        ("epoch", "epoch: no such argument (3 came); did you mean epochs?"),
        ("batchsize", "batchsize: no such argument (3 came); did you mean batch_size or global_batch_size?"),
        ("runid", "runid: no such argument (3 came); did you mean run_id?"),
        ("slots_timeout", "slots_timeout: no such argument (3 came); did you mean cluster={'slots_timeout': …}?"),
        ("patience", "patience: no such argument (3 came); did you mean early_stopping={'patience': …}?"),
        ("where", "where: no such argument (3 came); data.where is a key of a job's file alone"),
        ("zzz", f"zzz: no such argument (3 came); expected one of {', '.join(KEYWORDS)}"),
    ],
)
def test_an_argument_that_is_not_there_is_named_with_what_is_near_it(word, told):
    with pytest.raises(ConfigError) as caught:
        job_of_keywords("mine", ROWS | {word: 3})
    assert [str(problem) for problem in caught.value.problems] == [told]


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        job_of_keywords("mine", {"label": "y", "epoch": 3, "batch_size": 0})
    assert {problem.key for problem in caught.value.problems} == {"epoch", "data.features", "training.batch_size"}
