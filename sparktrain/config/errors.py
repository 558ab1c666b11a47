"""What is wrong with a configuration, told all at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One thing to put right.

    Attributes:
        key: the dotted key, such as `training.batch_size` or `data.features[1]`.
        came: what the job says there.
        expected: what is allowed there; empty where the hint says it.
        hint: what to do, or the nearest name; may be empty.
        place: where it was said, such as `conf/late.yaml:12` or `--set training.epochs=x`; may be empty.
    """

    key: str
    came: str
    expected: str
    hint: str = ""
    place: str = ""

    def __str__(self) -> str:
        said = "; ".join(part for part in (self.came, self.expected and f"expected {self.expected}", self.hint) if part)
        return f"{self.key}: {said}" + (f" [{self.place}]" if self.place else "")


class ConfigError(ValueError):
    """A configuration that can't work.

    Attributes:
        problems: every problem that was found, in the order of the keys.
        source: the file, or what else the configuration came from.
    """

    def __init__(self, problems: Sequence[Problem], source: str = "the job") -> None:
        super().__init__(list(problems), source)
        self.problems = list(problems)
        self.source = source

    def __str__(self) -> str:
        count = f"{len(self.problems)} problems" if len(self.problems) > 1 else "1 problem"
        return "\n".join([f"{self.source} can't work: {count}", *(f"  {problem}" for problem in self.problems)])


def show(value: Any) -> str:
    """A value as the job's YAML could have it, in 80 characters at most."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (TypeError, ValueError):  # keys that JSON has not, or a value inside itself
        text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
