"""Rules between the keys of a section: how they are registered, and applied."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from sparktrain.config.errors import Problem, show
from sparktrain.config.kinds import Section

S = TypeVar("S", bound=Section)


class _Rule(NamedTuple):
    check: Callable[[Any], Iterable[Problem]]
    keys: tuple[str, ...]
    whole: bool


_RULES: dict[type[Section], list[_Rule]] = defaultdict(list)


def rule(
    section: type[S], *keys: str, whole: bool = False
) -> Callable[[Callable[[S], Iterable[Problem]]], Callable[[S], Iterable[Problem]]]:
    """Return a decorator that registers a function as a rule: it yields the problems between keys of a section.

    Args:
        section: the class of the section that the function is called with.
        keys: the keys that the function reads, none for all of them; it isn't called if one of them is wrong by itself.
        whole: whether the rule applies only if rows, model and output must be named, as in a job's file.
    """

    def register(check: Callable[[S], Iterable[Problem]]) -> Callable[[S], Iterable[Problem]]:
        _RULES[section].append(_Rule(check, keys, whole))
        return check

    return register


def broken(value: Section, wrong: Collection[str], whole: bool, name: str = "") -> Iterator[Problem]:
    """Yield the problems between the keys of a section, after those within its own sections.

    Args:
        value: the section, whose keys are each valid by themselves except for `wrong`.
        wrong: keys (`section` or `section.key`) that are wrong by themselves.
        whole: whether rows, model and output must be named.
        name: the section's name; empty for the job itself.
    """
    for field in type(value).model_fields:
        inner = getattr(value, field)
        if not name and isinstance(inner, Section):
            yield from broken(inner, wrong, whole, field)
    for each in (each for kind in type(value).__mro__ for each in _RULES.get(kind, ())):
        keys = [f"{name}.{key}" for key in each.keys] if name else each.keys
        reads = {name, *keys, *(key.partition(".")[0] for key in keys)}
        if (whole or not each.whole) and not reads & set(wrong):
            yield from each.check(value)


def among(prefix: str, values: Any, names: tuple[str, ...], needed: bool) -> Iterator[Problem]:
    """Yield a problem if more than one of some keys of a section is set, or none although one is needed."""
    given = [f"{prefix}.{name}" for name in names if getattr(values, name) is not None]
    one = f"exactly one of {', '.join(f'{prefix}.{name}' for name in names)}"
    if len(given) > 1:
        yield Problem(given[0], f"came together with {', '.join(given[1:])}", one, "remove all but one (or set it to null)")
    elif needed and not given:
        yield Problem(prefix, f"none of {', '.join(names)} came", one)


def once(key: str, values: list[Any]) -> Iterator[Problem]:
    """Yield a problem for each value that occurs more than once."""
    for value, count in Counter(values).items():
        if count > 1:
            yield Problem(key, f"{show(value)} occurs {count} times", "each once", "remove the others")
