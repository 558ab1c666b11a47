"""Writes the pages of the documentation that have every key: of a job, of a search and of a scoring."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Literal

from sparktrain.config import describe
from sparktrain.config.job import Job
from sparktrain.config.kinds import Section
from sparktrain.config.scoring import ScoringJob
from sparktrain.config.search import Search

What = Literal["job", "search", "scoring"]
FILES: dict[What, type[Section]] = {"job": Job, "search": Search, "scoring": ScoringJob}
_JOB = """\
# The keys of a job's YAML

Written from the schema by `sparktrain config --reference`; a test keeps it in step. `conf/every-key.yaml` has all keys as
a file to start from, and `sparktrain config --schema` prints the JSON Schema that editors complete from: begin a job's file
with `# yaml-language-server: $schema=` and the path of the schema.

YAML is read as version 1.2: `true` and `false` are booleans, `on`, `off`, `yes` and `no` are strings. Any key can be
set on the command line: `--set training.epochs=3`, `--set data.features='[history, flight]'`,
`--set training.batch_size=null`. `module:function` is looked up in the YAML's folder, the current folder and on
PYTHONPATH. NAME stands for a name that you choose.
"""
_OTHER = """\
# The keys of a {what}'s YAML

Written from the schema by `sparktrain config --reference {what}`; a test keeps it in step. `sparktrain config --schema {what}` prints
the JSON Schema that editors complete from. What [a job's YAML](configuration.md) may look like holds for this one, too.
"""


def schema(what: What = "job") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file, for editors.

    Args:
        what: the kind of file: `job`, `search` or `scoring`.
    """
    return deepcopy(describe.schema_of(FILES[what]))


def reference(what: What = "job") -> str:
    """Return the schema of a file as Markdown: a table for each section with each key's type, default and meaning.

    Args:
        what: the kind of file: `job`, `search` or `scoring`.
    """
    tree = describe.schema_of(FILES[what])
    keys = list(describe.keys(tree))
    sections = list(dict.fromkeys(key.section for key in keys))
    lines = [_JOB if what == "job" else _OTHER.format(what=what)]
    for section in sections:
        lines += [
            f"## `{section}`" if section else "## At the top",
            "",
            describe.about(tree, section),
            "",
            "| key | type | default | meaning |",
            "| --- | --- | --- | --- |",
        ]
        for key in (key for key in keys if key.section == section):
            a_section = not section and key.name in sections
            kind = "a section, see below" if a_section else describe.allowed(tree, key.node)
            cells = [f"`{key.name}`", kind, _default(key), key.node["description"]]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _default(key: describe.Key) -> str:
    if key.required:
        return "required"
    if "default" not in key.node:
        return ""
    default = key.node["default"]
    return f"`{default:g}`" if isinstance(default, float) else f"`{json.dumps(default)}`"
