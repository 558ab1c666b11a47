"""Every version is pinned, in one file, and what the code imports is asked for."""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[2]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def asked() -> dict[str, list[str]]:
    """What pyproject.toml asks for, by extra; "" is what is always needed."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = [line.strip() for line in (PROJECT / "constraints.txt").read_text().splitlines()]
    return dict(normal_pin(line) for line in lines if line and not line.startswith("#"))


def normal_pin(line: str) -> tuple[str, str]:
    name, separator, number = line.partition("==")
    assert separator and re.fullmatch(r"\w[\w.+]*", number), f"constraints.txt pins no one version: {line!r}"
    return normal(name), number


def test_all_that_is_asked_for_and_all_that_this_needs_in_turn_is_pinned(asked, pins):
    waiting = [Requirement(each) for extra in asked.values() for each in extra]
    seen, loose = set(), set()
    while waiting:
        requirement = waiting.pop()
        name = normal(requirement.name)
        if requirement.marker is not None and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
        ):
            continue
        if name not in pins:
            loose.add(name)
        if name in seen:
            continue
        seen.add(name)
        try:
            waiting += [Requirement(each) for each in requires(name) or ()]
        except PackageNotFoundError:
            pass  # of an extra that this environment has not
    assert not loose


def test_the_pins_are_versions_that_are_allowed(asked, pins):
    for extra in asked.values():
        for requirement in map(Requirement, extra):
            assert pins[normal(requirement.name)] in requirement.specifier, requirement


def test_every_package_that_the_code_imports_is_asked_for(asked):
    wanted = {normal(Requirement(each).name) for extra in asked.values() for each in extra}
    owners = packages_distributions()
    imported: dict[str, str] = {}
    for folder in ("sparktrain", "jobs"):
        for file in sorted((PROJECT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module]
                imported |= {name.partition(".")[0]: str(file.relative_to(PROJECT)) for name in names}
    missing = {
        module: file
        for module, file in imported.items()
        if module not in sys.stdlib_module_names
        and module not in ("sparktrain", "jobs", "py4j", "tensorflow", "setuptools")
        and not wanted & {normal(owner) for owner in owners.get(module, [module])}
    }
    assert not missing


def test_horovod_s_headers_are_forwarded_to_where_this_tensorflow_keeps_them(tmp_path):
    tensorflow = importlib.util.find_spec("tensorflow")
    if tensorflow is None:
        pytest.skip("this environment has no TensorFlow")
    wheel = runpy.run_path(str(PROJECT / "environment" / "horovod_wheel.py"))
    headers = Path(tensorflow.submodule_search_locations[0]) / "include"
    assert all((headers / target).exists() for target in wheel["FORWARDED"].values())
    path = wheel["build_environment"](tmp_path)["CPLUS_INCLUDE_PATH"].split(":")
    assert all(Path(folder).is_dir() for folder in path[:3])
    for source, target in wheel["FORWARDED"].items():
        assert (Path(path[0]) / source).read_text() == f'#include "{target}"\n' + wheel["RESTORED"].get(source, "")
    assert wheel["RESTORED"].keys() <= wheel["FORWARDED"].keys()


def test_horovod_s_wheel_is_kept_under_all_that_it_was_built_for(monkeypatch, tmp_path):
    wheel = runpy.run_path(str(PROJECT / "environment" / "horovod_wheel.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        name, number, _ = wheel["tensorflow"]()
    except SystemExit:
        pytest.skip("this environment has no TensorFlow")
    folder = wheel["cache"]("0.28.1")
    assert folder.parent == tmp_path / "sparktrain" / "wheels"
    for part in ("horovod-0.28.1", f"{name}-{number}", sys.implementation.cache_tag):
        assert part in folder.name.split("_")
