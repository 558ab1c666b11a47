"""Writes docs/records.md from the schemas of the records."""

from __future__ import annotations

from sparktrain.runs.records import RECORDS, VERSION, Record

_INTRODUCTION = f"""\
# What a run writes for programs to read

Written from the schemas in `sparktrain.runs.records` by `sparktrain config --records`; a test keeps it in step. Each record is
JSON, with the version of its schema, which is {VERSION}: it is raised when a field is removed or changes its meaning. A reader
ignores fields that it doesn't know. Records of an earlier version of sparktrain, without `version` and without later fields, can
be read, too. NaN and infinity, which JSON doesn't have, are null.
"""


def records_page() -> str:
    """Return the page as Markdown: for each record a table with the type and the meaning of each field."""
    lines = [_INTRODUCTION]
    for name, record in RECORDS.items():
        lines += [f"## {name}", "", _about(record), "", "| field | type | meaning |", "| --- | --- | --- |"]
        for field, info in record.model_fields.items():
            kind = (
                info.annotation.__name__
                if isinstance(info.annotation, type) and "[" not in str(info.annotation)
                else str(info.annotation)
            )
            kind = kind.replace("typing.", "").replace("NoneType", "None").replace("|", "\\|")
            lines.append(f"| `{field}` | {kind} | {info.description} |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _about(record: type[Record]) -> str:
    return " ".join((record.__doc__ or "").split())
