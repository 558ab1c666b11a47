"""Every engine that a job can name has its folder, its two classes and its description."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sparktrain.config.keywords import KEYWORDS
from sparktrain.interfaces.engines import ENGINES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "sparktrain" / "engines"


def _names(file: Path) -> set[str]:
    """Return the names of the classes that a file defines or imports."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    imported = {alias.asname or alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return imported | {node.name for node in nodes if isinstance(node, ast.ClassDef)}


def test_every_folder_is_an_engine_and_every_engine_has_one():
    assert {path.parent.name for path in FOLDER.glob("*/__init__.py")} == set(ENGINES)
    assert all(name == engine.name for name, engine in ENGINES.items())


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_has_a_class_for_each_side(engine):
    assert "EngineLaunch" in _names(FOLDER / engine / "launch.py")
    assert "EngineCollective" in _names(FOLDER / engine / "collective.py")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_is_described(engine):
    assert f"\n- `{engine}`: " in (ROOT / "docs" / "averaging.md").read_text(encoding="utf-8")


def test_the_key_workers_names_all_engines_that_have_one():
    [named] = re.findall(r"always 1, and optional, for ([^.]+)\.", KEYWORDS["workers"].text)
    assert set(re.findall(r"\w+", named)) - {"and"} == {engine.name for engine in ENGINES.values() if engine.one_worker}
