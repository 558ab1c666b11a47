"""Makes a job from keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparktrain.config import Job


def job_of_words(sections: Mapping[str, Mapping[str, Any]], name: str, seed: int | None) -> Job:
    """Return the job of a program's keyword arguments: None takes the default, False sets a key to null.

    Raises:
        ConfigError: the job can't work; the error has every problem.
    """
    given: dict[str, Any] = {
        section: {word: None if value is False else value for word, value in words.items() if value is not None}
        for section, words in sections.items()
    }
    return Job.from_mapping({**given, "name": name, **({} if seed is None else {"seed": seed})})
