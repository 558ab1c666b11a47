"""The rules of a scoring's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sparktrain.config.check import validate
from sparktrain.config.errors import Problem
from sparktrain.config.files import read
from sparktrain.config.rules.rule import once, rule
from sparktrain.config.scoring import Score, ScoredModel, ScoresOutput, ScoringJob


@rule(ScoredModel, "load", whole=True)
def _some_model(model: ScoredModel) -> Iterator[Problem]:
    if model.load is None:
        yield Problem("model.load", "nothing came", "the URL of a finished run, such as hdfs:///models/late-flights/latest")


@rule(ScoresOutput, "path", whole=True)
def _some_place(output: ScoresOutput) -> Iterator[Problem]:
    if output.path is None:
        yield Problem("output.path", "nothing came", "the URL of a folder, such as hdfs:///scores/today")


@rule(Score, "keep", "output")
def _columns_once(score: Score) -> Iterator[Problem]:
    yield from once("score.keep", list(score.keep or ()))
    if isinstance(score.output, list):
        yield from once("score.output", list(score.output))


@rule(ScoresOutput, "partition_by")
def _partitions_once(output: ScoresOutput) -> Iterator[Problem]:
    yield from once("output.partition_by", list(output.partition_by))


def load_scoring(path: str | Path, overrides: Sequence[str] = ()) -> ScoringJob:
    """Read a scoring from its YAML.

    Args:
        path: the scoring's file, in UTF-8.
        overrides: `a.b=c` each, as from `--set`.

    Raises:
        ConfigError: the scoring can't work. The error has every problem.
    """
    mapping, places, found = read(path, overrides)
    return validate(ScoringJob, mapping, whole=True, places=places, source=str(path), found=found)
