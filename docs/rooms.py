"""Write the tables of the rooms, docs/architecture.md and a part of CONTRIBUTING.md, from tests/test_rooms.py.

    python docs/rooms.py

What lives in a room is the first line of its docstring; what it may import is what the test of the rooms allows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
_TABLE = re.compile(r"(?<=<!-- written by docs/rooms.py -->\n).*?(?=<!-- until here -->)", re.DOTALL)
_TEXT = """\
# Architecture

Written by `python docs/rooms.py` from `tests/test_rooms.py`; a test keeps it in step.

A *room* is a folder at the top of `sparktrain/` (and the file `worker.py`). It may import the rooms that the table names, and no
other; no file imports itself by way of others. [A run](how-it-works.md) shows what the rooms do together, and
[CONTRIBUTING.md](../CONTRIBUTING.md) how to change them.

{rooms}

## Frameworks

A process loads only what it needs: the Spark task never imports TensorFlow, and the training process never imports Spark. So
these packages are imported by these rooms alone:

{frameworks}
"""


def rules() -> dict[str, Any]:
    """Return MAY_IMPORT and NOT_BY of the test of the rooms, without running the test's imports."""
    names = {"MAY_IMPORT", "_SPARK", "_KERAS", "NOT_BY"}
    tree = ast.parse((ROOT / "tests" / "test_rooms.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in names]
    found: dict[str, Any] = {}
    exec(compile(tree, "tests/test_rooms.py", "exec"), found)
    return found


def purpose(room: str) -> str:
    """Return the first line of a room's docstring."""
    folder = ROOT / "sparktrain" / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def rooms_table() -> str:
    """Return the table of the rooms: name, what lives there, what it may import."""
    rows = []
    for room, may in rules()["MAY_IMPORT"].items():
        name = f"{room}/" if (ROOT / "sparktrain" / room).is_dir() else f"{room}.py"
        rows.append((f"`{name}`", purpose(room), _codes(may) or "none of ours"))
    return _table(("room", "what lives there", "may import"), rows)


def frameworks_table() -> str:
    """Return the table of the packages that only some rooms import."""
    found = rules()
    rows = [(f"`{package}`", _codes(found["MAY_IMPORT"].keys() - others)) for package, others in found["NOT_BY"].items()]
    return _table(("package", "imported by"), rows)


def page() -> str:
    """Return the text of docs/architecture.md."""
    return _TEXT.format(rooms=rooms_table(), frameworks=frameworks_table())


def contributing(text: str) -> str:
    """Return the text of CONTRIBUTING.md with its table of the rooms as it should be."""
    return _TABLE.sub(lambda _: f"{rooms_table()}\n", text)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    CONTRIBUTING.write_text(contributing(CONTRIBUTING.read_text(encoding="utf-8")), encoding="utf-8")
