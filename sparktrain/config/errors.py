"""The problems of a configuration, and the error that reports them all at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One problem of a configuration.

    Attributes:
        key: the dotted key, such as `training.batch_size` or `data.features[1]`.
        came: a phrase for what the job has there.
        expected: what is allowed there; empty if the hint says it.
        hint: what to do, or the nearest name; may be empty.
        place: where the key was set, such as `conf/late.yaml:12` or `--set training.epochs=x`; may be empty.
    """

    key: str
    came: str
    expected: str
    hint: str = ""
    place: str = ""

    def __str__(self) -> str:
        text = "; ".join(part for part in (self.came, self.expected and f"expected {self.expected}", self.hint) if part)
        return f"{self.key}: {text}" + (f" [{self.place}]" if self.place else "")


class ConfigError(ValueError):
    """Raised where a configuration can't work.

    Attributes:
        problems: every problem that was found, in the order of the keys.
        source: the configuration's file, or another origin.
    """

    def __init__(self, problems: Sequence[Problem], source: str = "the job") -> None:
        super().__init__(list(problems), source)
        self.problems = list(problems)
        self.source = source

    def __str__(self) -> str:
        count = f"{len(self.problems)} problems" if len(self.problems) > 1 else "1 problem"
        return "\n".join([f"{self.source} can't work: {count}", *(f"  {problem}" for problem in self.problems)])


def show(value: Any) -> str:
    """Format a value as in a job's YAML, in at most 80 characters."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (TypeError, ValueError):  # keys that JSON doesn't allow, or a value that contains itself
        text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
