"""Reads and describes a stored prepared frame: a folder with its rows, the fitted pipeline, the classes and the lineage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from sparktrain.data import classes as outputs
from sparktrain.data.buckets import Buckets
from sparktrain.data.dealing import Key
from sparktrain.data.errors import InputError, MissingColumn, first_line, require_columns
from sparktrain.data.files import files_under, list_files, qualified, read_file
from sparktrain.data.identity import ROW, VALIDATION, column
from sparktrain.data.names import select, unknown
from sparktrain.data.prepared import Prepared
from sparktrain.data.reading import read_files
from sparktrain.storage import SUMMARY

if TYPE_CHECKING:
    from sparktrain.config import Data

ROWS = "rows"
_KEY = "data.prepared"


def contents(spark: SparkSession, prepared: Prepared, data: Data, url: str) -> dict[str, Any]:
    """Return what the folder's summary.json has on the rows, which `read` uses and checks.

    Args:
        prepared: the frame, stored at `url`/rows, and counted.
        data: the section `data` that it was prepared with.
        url: the URL of the folder while it is written.
    """
    files = files_under(spark, f"{url}/{ROWS}", "the prepared rows")
    return {
        "rows": prepared.rows,
        "validation_rows": prepared.validation_rows,
        "label": data.label_column,
        "numbered": prepared.label_names is not None,  # whether the pipeline has replaced the labels by class numbers
        "pipeline": prepared.pipeline is not None,
        "columns": {field.name: field.dataType.simpleString() for field in prepared.frame.schema.fields},
        "files": len(files),
        "bytes": sum(file.length for file in files.values()),
        "buckets": prepared.buckets.count if prepared.buckets is not None else None,
        "frequent": [[*key, count] for key, count in prepared.find_frequent().items()],
    }


def read(spark: SparkSession, data: Data, needed: Sequence[str], loaded: Sequence[Any] | None) -> Prepared:
    """Return the frame that `data.prepared` names: its rows with their identity and validation mark, as they were written.

    Args:
        needed: the columns that training needs.
        loaded: the classes of the run that `model.load` names.

    Raises:
        InputError: there is no complete prepared frame, or its classes differ from the job's or the loaded run's.
        MissingColumn: it lacks needed columns.
    """
    assert data.prepared is not None
    try:
        url = qualified(spark, data.prepared)
        summary = _json(spark, url, SUMMARY)
        origin = _json(spark, url, "lineage.json")
        files = _refuse_parts(spark, url, summary)
        source = read_files(spark, [f"{url}/{ROWS}"], "parquet", key=_KEY)
        pipeline = _pipeline(spark, url) if summary["pipeline"] else None
        content = read_file(spark, f"{url}/classes.json")
    except Py4JJavaError as error:
        raise InputError(f"{_KEY}: {data.prepared} can't be read: {first_line(error)}") from error
    try:
        require_columns(
            unknown(needed, source.frame.schema),
            [name for name in source.frame.columns if name not in (ROW, VALIDATION)],
            f"{_KEY}: the frame at {url}",
        )
    except MissingColumn as error:
        raise MissingColumn(
            f"{error} It has the columns of the job that prepared it: name more in that one's data.features, and prepare again."
        ) from error
    frame = select(source.frame, needed, ROW, VALIDATION)
    # Classes and counts are those of the stored label; for another label they come from the job, as for any other frame
    same_label = summary["label"] == data.label_column
    classes = json.loads(content) if content is not None and same_label else None
    names, values = (classes, None) if summary["numbered"] else (None, classes)
    before, after = origin["classes_before_sampling"], origin["classes_after_sampling"]
    return Prepared(
        frame=frame,
        pipeline=pipeline,
        classes=outputs.settled(names, data.classes, loaded, values),
        label_names=names,
        counts_before=before if same_label and before != after else None,
        counts_after=after if same_label else None,
        rows=summary["rows"] if same_label else None,
        validation_rows=summary["validation_rows"],
        inputs=origin.pop("inputs"),
        buckets=Buckets.of_files(f"{url}/{ROWS}", files, summary["buckets"], origin["seed"]) if summary.get("buckets") else None,
        frequent={Key(row, validation): count for row, validation, count in summary["frequent"]}
        if summary.get("frequent") is not None
        else None,
        origin={"url": url, **origin},
        _notes=summary["notes"],
        _steps=[(_KEY, frame.where(~column(VALIDATION)))],
    )


def _json(spark: SparkSession, url: str, name: str) -> dict[str, Any]:
    content = read_file(spark, f"{url}/{name}")
    if content is None:
        raise InputError(
            f"{_KEY}: there is no complete prepared frame at {url}: it has no {name}. Expected a folder that "
            "jobs/prepare.py has written; check the path, or let it finish."
        )
    found = json.loads(content)
    if name == "summary.json" and "prepared" not in found:
        raise InputError(
            f"{_KEY}: {url} is not a prepared frame, but a run's folder. Expected one that jobs/prepare.py "
            "has written; to train a run's model further, name it in model.load."
        )
    return found


def _refuse_parts(spark: SparkSession, url: str, summary: dict[str, Any]) -> list[str]:
    """Return the names of the files of the rows; raise InputError if some are missing or have changed, which Spark wouldn't notice."""
    found = files_under(spark, f"{url}/{ROWS}", _KEY)
    files = found.values()
    there, length = len(files), sum(file.length for file in files)
    if (there, length) != (summary["files"], summary["bytes"]):
        raise InputError(
            f"{_KEY}: the rows at {url}/{ROWS} are not those that were written: {there} files with {length} "
            f"bytes, expected {summary['files']} with {summary['bytes']}. Copy or prepare them again."
        )
    return list(found)


def _pipeline(spark: SparkSession, url: str) -> PipelineModel:
    list_files(spark, [f"{url}/pipeline"], _KEY)  # its error is easier to read than Spark's own
    return PipelineModel.load(f"{url}/pipeline")
