"""The rules of a search's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sparktrain.config.base_job import BaseJob, problems_of
from sparktrain.config.check import validate
from sparktrain.config.errors import ConfigError, Problem, show
from sparktrain.config.files import read
from sparktrain.config.job import Job
from sparktrain.config.rules.rule import once, rule
from sparktrain.config.search import Range, Search

_OWN = ("name", "output", "on_end")  # keys of the job that say where and how it runs, and not what it learns
BASE = "base."


@rule(Search, "space")
def _ranges(search: Search) -> Iterator[Problem]:
    for name, each in search.space.items():
        key = f"space.{name}"
        given = [word for word, value in (("choice", each.choice), ("int", each.int_range), ("float", each.float_range)) if value]
        if len(given) != 1:
            came = f"{' and '.join(given)} came together" if given else "none of choice, int and float came"
            yield Problem(key, came, "exactly one of them, such as {choice: [32, 64]} or {int: [16, 256]}")
        elif each.choice is not None:
            yield from _list(key, each)
        else:
            yield from _bounds(key, each)
        if name.partition(".")[0] in _OWN:
            yield Problem(key, "came", "a key that changes what is learnt", f"set {name} in the job itself")
        if (outer := next((other for other in search.space if name.startswith(f"{other}.")), None)) is not None:
            yield Problem(key, f"came together with {outer}, which it is a part of", "one of the two", "remove the other")


def _list(key: str, each: Range) -> Iterator[Problem]:
    assert each.choice is not None  # only called for those
    yield from once(f"{key}.choice", [show(value) for value in each.choice])
    for word, value in (("log", each.log), ("step", each.step)):
        if value:
            yield Problem(f"{key}.{word}", f"{show(value)} came with choice", "int or float, a range", "remove it")


def _bounds(key: str, each: Range) -> Iterator[Problem]:
    assert each.bounds is not None  # only called for those
    low, high = each.bounds
    word = "int" if each.int_range is not None else "float"
    if low >= high:
        yield Problem(f"{key}.{word}", show([low, high]), "the smaller one first, and then a larger one")
    if each.log and low <= 0:
        yield Problem(f"{key}.{word}", f"{show([low, high])} came with log: true", "a range above 0")
    if each.log and each.step is not None:
        yield Problem(f"{key}.step", f"{show(each.step)} came with log: true", "one of the two", "name the values as a choice")
    if each.int_range is not None and each.step is not None and each.step % 1:
        yield Problem(f"{key}.step", show(each.step), "a whole number, as the range is of int")


@rule(Search, "space", "sampler", "trials")
def _enough(search: Search) -> Iterator[Problem]:
    size = search.size
    if search.sampler == "grid":
        for name, each in search.space.items():
            if each.points is None:
                hint = "list the values, or set a step"
                yield Problem(f"space.{name}", "a range without a step came with sampler: grid", "choice: a list of values", hint)
    elif search.trials is None:
        yield Problem("trials", "nothing came", "how many trials there are to be", "only sampler: grid has an end of its own")
    if size is not None and search.trials is not None and search.trials > size:
        hint = f"set trials to at most {size}, or vary more"
        yield Problem("trials", f"{search.trials} came for a space that has only {size} points", f"at most {size}", hint)


@rule(Search, "study", "sampler")
def _study(search: Search) -> Iterator[Problem]:
    if search.study is not None and search.sampler in ("random", "grid"):
        yield Problem("study", f"came with sampler: {search.sampler}", "one of Optuna's samplers, such as tpe", "remove it")


@rule(Search, "base", whole=True)
def _some_base(search: Search) -> Iterator[Problem]:
    if search.base is None:
        yield Problem("base", "nothing came", "the YAML of a training job, such as mine.yaml")


def load_search(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Search, BaseJob]:
    """Read a search from its YAML, and the job that it varies from the YAML which that names.

    Args:
        path: the search's file, in UTF-8.
        overrides: `a.b=c` each, as from `--set`; those that begin with `base.` set keys of the job.

    Raises:
        ConfigError: the search can't work. The error has every problem.
    """
    of_base = [each.removeprefix(BASE) for each in overrides if each.startswith(BASE)]
    mapping, places, found = read(path, [each for each in overrides if not each.startswith(BASE)])
    search = validate(Search, mapping, whole=True, places=places, source=str(path), found=found)
    assert search.base is not None  # the rules refuse a file without it
    base = BaseJob.of_file(base_path(path, search.base), of_base)
    check_space(search, base, str(path))
    return search, base


def base_path(path: str | Path, base: str) -> Path:
    """Return the path of the job that a search's file names: beside that file, else in the current folder."""
    beside = Path(path).parent / base
    return beside if beside.exists() or not Path(base).exists() else Path(base)


def check_space(search: Search, base: BaseJob, source: str = "the search") -> Job:
    """Check that the job can work with the values that the space has for each of its keys, of a range with its ends.

    Returns:
        The job with the first value of each key.

    Raises:
        ConfigError: it can't; the error has every problem.
    """
    first = {name: _samples(each)[0] for name, each in search.space.items()}
    job = base.job(first)  # its own problems are named as its own
    problems = []
    for name, each in search.space.items():
        for value in _samples(each)[1:]:
            came = problems_of(base, {**first, name: value})
            problems += [Problem(f"space.{name}", f"with {show(value)}, the job can't work: {one}", "") for one in came]
    metric, data = search.goal.metric, job.data
    if metric.startswith("val_") and data.validation is data.prepared is None:
        expected = "validation rows to measure it on"
        problems.append(Problem("goal.metric", f"{metric} came without data.validation", expected, "set it in the job"))
    if problems:
        raise ConfigError(problems, source)
    return job


def _samples(each: Range) -> list[object]:
    return each.choice if each.choice is not None else [*(each.int_range or each.float_range or ())]
