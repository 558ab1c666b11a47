"""The configuration of a scoring: what is accepted, and what is refused by the names of its keys."""

from __future__ import annotations

import pytest
import yaml

from sparktrain.config import ConfigError, load_scoring

SCORING = {
    "data": {"path": "hdfs:///data/flights", "where": "day > 3", "preprocess": "mine:prepare", "args": {"factor": 2}},
    "model": {"load": "hdfs:///models/late/latest"},
    "score": {"keep": ["flight_id"], "output": "probability", "batch_size": "auto", "nulls": None},
    "output": {"path": "hdfs:///scores/2026-11-28", "format": "parquet"},
}


@pytest.fixture
def loaded(tmp_path):
    """Loads a scoring whose file has other sections."""

    def load(*overrides, **sections):
        (tmp_path / "scores.yaml").write_text(yaml.safe_dump({**SCORING, **sections}))
        return load_scoring(tmp_path / "scores.yaml", overrides)

    return load


def test_a_file_and_what_is_set_on_the_command_line(loaded):
    job = loaded("score.output=[raw, prediction]", "output.mode=append")
    assert job.data.path == ["hdfs:///data/flights"] and job.data.args == {"factor": 2} and job.model.load.endswith("latest")
    assert (job.score.output, job.score.batch_size, job.score.nulls, job.score.keep) == (
        ["raw", "prediction"],
        "auto",
        "keep",
        ["flight_id"],
    )
    assert (job.output.mode, job.output.format, job.output.partition_by) == ("append", "parquet", [])
    assert loaded(score=None).score.nulls == "refuse"


def test_it_is_the_same_when_it_is_written_and_read_again(loaded, tmp_path):
    job = loaded(output={"path": "x", "partition_by": ["day"]})
    (tmp_path / "again.yaml").write_text(job.to_yaml())
    assert load_scoring(tmp_path / "again.yaml") == job


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"model": None}, "model.load: nothing came; expected the URL of a finished run"),
        ({"output": {"format": "orc"}}, "output.path: nothing came; expected the URL of a folder"),
        ({"data": {}}, "data.path: nothing came; expected exactly one of data.path, data.table, data.sql"),
        ({"data": {"path": "x", "table": "y"}}, "data.path: came together with data.table"),
        ({"data": {"path": "x", "label": "y"}}, "data.label: no such key"),
        ({"data": {"path": "x", "format": "parqet"}}, "did you mean parquet?"),
        ({"data": {"table": "x", "options": {"header": True}}}, "data.options: came with data.table"),
        ({"score": {"output": "class"}}, 'score.output: "class" came; expected prediction | probability | raw'),
        ({"score": {"output": ["raw", "raw"]}}, 'score.output: "raw" occurs 2 times'),
        ({"score": {"batch_size": 0}}, "score.batch_size: 0 came; expected auto or a whole number (at least 1)"),
        ({"score": {"nulls": "drop"}}, 'score.nulls: "drop" came; expected refuse | keep'),
        ({"output": {"path": "x", "mode": "overwrite"}}, 'output.mode: "overwrite" came; expected new | append'),
        ({"output": {"path": "x", "partition_by": ["a", "a"]}}, 'output.partition_by: "a" occurs 2 times'),
    ],
)
def test_what_cannot_work_is_refused_by_its_key(loaded, sections, said):
    with pytest.raises(ConfigError) as refused:
        loaded(**sections)
    assert said in str(refused.value)
