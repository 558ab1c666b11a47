"""Writes docs/records.md from the schemas of the records."""

from __future__ import annotations

import re

from sparktrain.runs.records.checkpoint import CheckpointMeta
from sparktrain.runs.records.export import ExportRecord
from sparktrain.runs.records.origin import Identity, Lineage
from sparktrain.runs.records.prepared import PreparedSummary
from sparktrain.runs.records.record import VERSION, Record
from sparktrain.runs.records.run import End, Line, Status, Stop, Summary
from sparktrain.runs.records.scores import ScoresSummary
from sparktrain.runs.records.search import SearchRecord, TrialRecord
from sparktrain.runs.records.signature import Signature

RECORDS: dict[str, type[Record]] = {
    "the JSON line": Line,
    "summary.json": Summary,
    "lineage.json": Lineage,
    "signature.json": Signature,
    "status.json": Status,
    "stop.json": Stop,
    "end.json": End,
    "summary.json of a prepared frame": PreparedSummary,
    "summary.json of a scoring": ScoresSummary,
    "identity.json": Identity,
    "the record of a trial": TrialRecord,
    "search.json": SearchRecord,
    "meta of a checkpoint": CheckpointMeta,
    "export.json": ExportRecord,
}

_INTRODUCTION = f"""\
# What a run writes for programs to read

Written from the schemas in `sparktrain.runs.records` by `sparktrain config --records`; a test keeps it in step. Each record is
JSON, with the version of its schema, which is {VERSION}: it is raised when a field is removed or changes its meaning. A reader
ignores fields that it doesn't know. Records of an earlier version of sparktrain, without `version` and without later fields, can
be read, too. NaN and infinity, which JSON doesn't have, are null, but in a checkpoint.
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
            kind = re.sub(r"\b[a-z_.]+\.(?=[A-Z])", "", kind).replace("NoneType", "None").replace("|", "\\|")
            lines.append(f"| `{field}` | {kind} | {' '.join((info.description or '').split())} |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _about(record: type[Record]) -> str:
    return " ".join((record.__doc__ or "").split())
