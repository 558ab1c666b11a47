"""What the contract has and this version hasn't: refused by name, never ignored.

To build one of these, delete its entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterator

from sparktrain.config.errors import Problem, show
from sparktrain.config.kinds import Section

if TYPE_CHECKING:
    from sparktrain.config.job import Job


@dataclass(frozen=True)
class NotBuilt:
    """A value, or every value, of a key that can't be had yet.

    Attributes:
        key: `section.key`.
        asked: whether a job's value asks for it.
        what: which values those are, for the documentation; empty: all.
        instead: what is built.
    """

    key: str
    asked: Callable[[Any], bool]
    what: str
    instead: str


NOT_BUILT = (
    NotBuilt("training.checkpoint", lambda value: value is not None and value.every != "epoch", "every: a number of steps",
             "every: epoch is"),
)


def refuse(job: Job) -> Iterator[Problem]:
    """What the job asks for that isn't built."""
    for one in NOT_BUILT:
        section, _, name = one.key.partition(".")
        value = getattr(getattr(job, section), name)
        if one.asked(value):
            plain = value.model_dump() if isinstance(value, Section) else value
            came = ("this key" if not one.what else plain if isinstance(plain, str) else show(plain))
            yield Problem(one.key, f"{came} is not built yet", "", one.instead)


def note(key: str) -> str:
    """What the documentation adds to a key; empty: all of it is built."""
    return next((f" Not built yet: {one.what}." if one.what else " Not built yet." for one in NOT_BUILT
                 if one.key == key), "")
