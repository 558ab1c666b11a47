"""The job that a search varies: its mapping, and the jobs that it is with other values for some keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparktrain.config.check import validate
from sparktrain.config.errors import ConfigError, Problem
from sparktrain.config.files import read
from sparktrain.config.job import Job
from sparktrain.config.overrides import parts_of, put


@dataclass(frozen=True)
class BaseJob:
    """The job that a search varies, before it is validated.

    Attributes:
        mapping: the keys and values of each section, as they were set.
        source: its file, or another origin.
        whole: whether rows, model and output must be named, as in a job's file.
        places: the place of each key, by its dotted name.
        found: problems that are already known.
    """

    mapping: Any
    source: str = "the job"
    whole: bool = False
    places: Mapping[str, str] = field(default_factory=dict)
    found: Sequence[Problem] = ()

    @classmethod
    def of_file(cls, path: str | Path, overrides: Sequence[str] = ()) -> BaseJob:
        """Read the job from its YAML.

        Raises:
            ConfigError: the file can't be read, or isn't YAML.
        """
        mapping, places, found = read(path, overrides)
        return cls(mapping, str(path), True, places, found)

    def job(self, values: Mapping[str, Any]) -> Job:
        """Return the job with other values for some keys.

        Args:
            values: the values, by dotted keys.

        Raises:
            ConfigError: it can't work.
        """
        mapping = deepcopy(self.mapping)
        places, found = dict(self.places), list(self.found)
        if isinstance(mapping, dict):
            for key, value in values.items():
                parts = parts_of(key)
                place = f"space.{key}"
                if parts is None:
                    found.append(Problem(place, "not a dotted key", "a key of the job, such as training.batch_size"))
                elif (problem := put(mapping, places, parts, value, place)) is not None:
                    found.append(problem)
        return validate(Job, mapping, whole=self.whole, places=places, source=self.source, found=found)


def problems_of(base: BaseJob, values: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of the job with other values for some keys; none if it can work."""
    try:
        base.job(values)
    except ConfigError as error:
        return error.problems
    return []
