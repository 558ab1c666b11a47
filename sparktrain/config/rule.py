"""Rules: what one key of a section asks of another. A section's rules lie beside it."""

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
    """Register a function that yields what is wrong between keys of a section.

    Args:
        section: the class that the function is given a value of.
        keys: those that it reads, none for all of them; it is not asked where one of them is wrong by itself.
        whole: whether it holds only where rows, model and output must be named, as in a job's file.
    """

    def register(check: Callable[[S], Iterable[Problem]]) -> Callable[[S], Iterable[Problem]]:
        _RULES[section].append(_Rule(check, keys, whole))
        return check

    return register


def broken(value: Section, wrong: Collection[str], whole: bool, name: str = "") -> Iterator[Problem]:
    """Yield what is wrong between the keys of a section, after what is wrong within the sections that it has.

    Args:
        value: whose single keys are right, but for `wrong`.
        wrong: keys (`section` or `section.key`) that can't be relied on.
        whole: whether rows, model and output must be named.
        name: the section's; empty for the job itself.
    """
    for field in type(value).model_fields:
        inner = getattr(value, field)
        if not name and isinstance(inner, Section):
            yield from broken(inner, wrong, whole, field)
    for each in _RULES[type(value)]:
        keys = [f"{name}.{key}" for key in each.keys] if name else each.keys
        reads = {name, *keys, *(key.partition(".")[0] for key in keys)}
        if (whole or not each.whole) and not reads & set(wrong):
            yield from each.check(value)


def among(prefix: str, values: Any, names: tuple[str, ...], needed: bool) -> Iterator[Problem]:
    """Yield what is wrong where not exactly one of some keys of a section is given; none is right, too, unless one is needed."""
    given = [f"{prefix}.{name}" for name in names if getattr(values, name) is not None]
    one = f"exactly one of {', '.join(f'{prefix}.{name}' for name in names)}"
    if len(given) > 1:
        yield Problem(given[0], f"came together with {', '.join(given[1:])}", one, "take out all but one (or set it to null)")
    elif needed and not given:
        yield Problem(prefix, f"none of {', '.join(names)} came", one)


def once(key: str, values: list[Any]) -> Iterator[Problem]:
    """Yield each value that is there more than once."""
    for value, count in Counter(values).items():
        if count > 1:
            yield Problem(key, f"{show(value)} stands {count} times", "each once", "take the others out")
