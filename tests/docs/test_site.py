"""The documentation holds together: links lead somewhere, every page is in the navigation, pages that are made are current."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import runpy
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import sparktrain

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")] + sorted(DOCS.glob("*.md"))
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def script(name: str) -> SimpleNamespace:
    """What a script of docs/ defines; it is not run as a program."""
    return SimpleNamespace(**runpy.run_path(str(DOCS / f"{name}.py")))


@functools.cache
def text_of(page: Path) -> str:
    """A page without its blocks of code."""
    return _CODE.sub("", page.read_text(encoding="utf-8"))


@functools.cache
def anchors_of(page: Path) -> set[str]:
    """The anchors that a page's headings get, on the site as where the repository is read."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()) for heading in headings}


def links_of(page: Path) -> list[str]:
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)) if "://" not in target]


@functools.cache
def site() -> dict[str, Any]:
    """mkdocs.yml, without what its tags of Python would make."""
    return yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)


def navigation(part: Any) -> Iterator[str]:
    """The files that a part of the navigation names."""
    if isinstance(part, str):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from navigation(each)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    wrong = []
    for target in links_of(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or not file.is_relative_to(ROOT):
            wrong.append(f"{target}: there is no such file")
        elif anchor and anchor not in anchors_of(file):
            wrong.append(f"{target}: {file.name} has no such heading; it has {sorted(anchors_of(file))}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lists_and_tables_begin_after_an_empty_line(page):
    """Where the repository is read they needn't; on the site they would be part of the paragraph."""
    lines = text_of(page).splitlines()
    begins = re.compile(r"(- |\d+\. |\|)")
    goes_on = re.compile(r"(- |\d+\. |\||  |#|<!--|$)")
    pairs = itertools.pairwise(lines)
    wrong = [line for before, line in pairs if begins.match(line) and not goes_on.match(before)]
    assert not wrong


def test_the_navigation_names_only_files_that_are_there_and_every_page_of_docs():
    named = list(navigation(site()["nav"]))
    outside = script("site_hooks").outside()
    assert len(named) == len(set(named))
    assert not [name for name in named if not ((ROOT / outside[name]) if name in outside else DOCS / name).is_file()]
    assert {page.name for page in DOCS.glob("*.md")} | {page for page in outside if page.endswith(".md")} == set(named)


def test_links_of_the_repository_become_links_of_the_site():
    linked = script("site_hooks").linked
    pages = {"index.md", "data.md", "pictures/run.svg", "benchmarks/results/scaling.md", "security.md"}
    assert linked("[a](docs/data.md#x) ![b](docs/pictures/run.svg)", "index.md", pages) == "[a](data.md#x) ![b](pictures/run.svg)"
    assert linked("[a](../README.md) [b](../SECURITY.md#x)", "data.md", pages) == "[a](index.md) [b](security.md#x)"
    assert linked("[a](../../docs/data.md)", "benchmarks/results/scaling.md", pages) == "[a](../../data.md)"
    assert linked("[a](LICENSE)", "index.md", pages) == "a"
    for same in ("[a](nowhere.md)", "[a](#x)", "[a](https://x/y)", "```\n[a](LICENSE)\n```\n"):
        assert linked(same, "index.md", pages) == same


def test_the_tables_of_the_rooms_are_what_the_test_of_the_rooms_says():
    rooms = script("rooms")
    allowed = runpy.run_path(str(ROOT / "tests" / "test_rooms.py"))
    assert rooms.rules()["MAY_IMPORT"] == allowed["MAY_IMPORT"] and rooms.rules()["NOT_BY"] == allowed["NOT_BY"]
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert page == rooms.page(), "write it again: python docs/rooms.py"
    rows = dict(re.findall(r"^\| `(\w+)(?:/|\.py)` \| .+ \| (.+) \|$", page, re.MULTILINE))
    assert {room: set(re.findall(r"`(\w+)`", may)) for room, may in rows.items()} == allowed["MAY_IMPORT"]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert rooms.rooms_table() in text and text == rooms.contributing(text), "write it again: python docs/rooms.py"


def test_every_room_says_what_lives_there():
    rooms = script("rooms")
    assert not [room for room in rooms.rules()["MAY_IMPORT"] if not rooms.purpose(room)]


def test_the_page_of_the_command_line_is_what_the_parsers_take():
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert page == script("command_line").page(), "write it again: python docs/command_line.py"


def test_the_pictures_are_what_their_script_draws_and_are_xml():
    for name, draw in script("pictures").PICTURES.items():
        committed = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        assert committed == str(draw()), "draw them again: python docs/pictures.py"
        ElementTree.fromstring(committed)


def test_all_that_is_exported_is_in_the_reference():
    api, rooms = ((DOCS / name).read_text(encoding="utf-8") for name in ("api.md", "api-rooms.md"))
    assert re.findall(r"^## sparktrain\.(\w+)$", api, re.MULTILINE) == [
        "train",
        "cross_validate",
        "tune",
        "score",
        "run",
        "RunControl",
        "scale_up",
    ]
    public = {"__version__", "cross_validate", "run", "RunControl", "RunStopped", "scale_up", "score", "train", "tune"}
    assert set(sparktrain.__all__) == public
    assert "driver.control.run_control.RunStopped" in api
    missing = []
    for init in sorted((ROOT / "sparktrain").glob("*/__init__.py")):
        room = init.parent.name
        names = next((ast.literal_eval(node.value) for node in ast.parse(init.read_text()).body if _is_all(node)), [])
        if names and f"::: sparktrain.{room}\n" not in rooms + "\n":
            section = rooms.partition(f"## sparktrain.{room}\n")[2].partition("\n## ")[0] + api
            missing += [f"sparktrain.{room}.{name}" for name in names if not re.search(rf"\b{name}\b", section)]
    assert not missing, "name it in docs/api-rooms.md"


def _is_all(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
