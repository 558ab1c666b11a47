"""Exports a run's model, with its pipeline in front of it, for serving."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import keras
import tensorflow as tf
import yaml
from pyspark.sql import DataFrame, Row, SparkSession

import sparktrain
from sparktrain.config import RowSource
from sparktrain.data.names import select
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.export.check import Tie, compare
from sparktrain.export.columns import batches, tensor_spec, usable
from sparktrain.export.errors import ExportError
from sparktrain.export.forms import check_form, load, write
from sparktrain.export.pipeline import InFront, in_front
from sparktrain.export.saved_stages import saved_stages
from sparktrain.export.served_model import ServedModel
from sparktrain.export.warm_up import write_warm_up
from sparktrain.ml.frame_scorer import FrameScorer, read_signature
from sparktrain.ml.score_columns import made_columns
from sparktrain.ml.score_plan import KINDS, Kind
from sparktrain.ml.scored_outputs import compiled_losses, scored_outputs
from sparktrain.ml.scored_rows import ScoredRows
from sparktrain.models.custom_objects import load_model
from sparktrain.runs.finished import resolve
from sparktrain.runs.json_text import now, without_nan
from sparktrain.runs.records.export import ExportedTensor, ExportRecord
from sparktrain.runs.records.signature import Signature
from sparktrain.runs.result import Result
from sparktrain.storage import Folder, StorageError, open_folder
from sparktrain.usercode.lookup import resolve as resolve_function
from sparktrain.usercode.lookup import search_folders

RECORD = "export.json"
_BESIDE = "sparktrain"  # the folder of what says where an export comes from, beside the model
_SEED = 0
_TRIES = 20
_WARM_UP_ROWS = (1, 32)  # of the requests that a server warms up with
_COMPARED = "sparktrain compared "  # what Spark's scores are called, beside the columns: a name that no column has


def export_run(
    model: str | Result,
    to: str,
    *,
    format: str = "savedmodel",
    frame: DataFrame | None = None,
    output: Sequence[Kind] | None = None,
    leave_out: bool = False,
    rows: int = 2000,
    modules: Sequence[str] = (),
    spark: SparkSession | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> str:
    """Write a run's model for serving, with the run's fitted pipeline as TensorFlow operations in front of it.

    What is served is then given the columns that the pipeline was given in training, and prepares them as training did. Before anything is
    to be seen, the export is loaded as its users will load it, and its scores for rows of the run's own source are compared with Spark's.

    Args:
        model: a run's result, or the URL of a run's folder or of `…/latest`.
        to: the folder of the model's versions, on any storage; this one is written to `to`/N, whole or not at all, N being the next number, as
            TensorFlow Serving looks for them.
        format: savedmodel; onnx, with the extra `onnx`, where no stage takes texts apart; or keras, the model's file alone.
        frame: rows to compare, as `data.preprocess` made them in training; by default rows of the source that the run was trained on.
        output: what comes out, of prediction, probability, raw and index; by default the first three, without the second where the model
            was trained on numbers.
        leave_out: whether stages that can't be exported are left out, with those before them: the columns that they make then go in.
        rows: how many rows to compare at most.
        modules: modules to import before the model is loaded, besides those that its run records.
        spark: the session; the active one, or a new one on two cores of this machine, if left out.
        progress: called with a few words for each step.

    Returns:
        The URL of the folder: of a SavedModel itself, with requests to warm up with; of model.onnx or of model.keras. Its folder `sparktrain`
        has `export.json` (what goes in and comes out, what was compared, hashes) and the run's signature, summary and lineage.

    Raises:
        ExportError: a stage or a column can't be exported, or the scores differ from Spark's.
        StorageError: the run can't be read, or the export can't be written.
        InputError: the rows can't be read.

    Example:
        >>> export_run("hdfs:///models/late-flights/latest", "hdfs:///serving/late-flights")   # doctest: +SKIP
        'hdfs://namenode:8020/serving/late-flights/1'
    """
    check_form(format)
    spark = spark or (
        frame.sparkSession if frame is not None else SparkSession.builder.appName("sparktrain export").getOrCreate()
    )
    hadoop = hadoop_settings(spark)
    url = model.output if isinstance(model, Result) else resolve(qualified(spark, model), hadoop)
    if url is None:
        raise ExportError("a run that left no model came, expected a finished run, or the URL of its folder")
    run = open_folder(url, hadoop)
    signature = read_signature(run)
    progress("reading the pipeline")
    stages = saved_stages(run.join("pipeline")) if signature.pipeline else []
    front = in_front(stages, signature.columns(), format, leave_out)
    with tempfile.TemporaryDirectory(prefix="sparktrain-") as scratch:
        made = Path(scratch, "export")
        made.mkdir()
        exporter = _Exporter(run, signature, front, format, Path(scratch, "model.keras"), output, modules)
        progress(f"scoring rows of {'the frame' if frame is not None else 'its source'} with Spark")
        prepared = frame if frame is not None else _source(spark, run, progress)
        compared = exporter.score_by_spark(spark, prepared, min(rows, 100_000))
        progress(f"writing it as {format}")
        record = exporter.write(made, compared, to.rstrip("/").rpartition("/")[2])
        progress(f"publishing to {to}")
        return _publish(made, record, open_folder(qualified(spark, to), hadoop))


def _source(spark: SparkSession, run: Folder, progress: Callable[[str], None]) -> DataFrame:
    """Return the rows that the run was trained on, behind `data.preprocess`."""
    data = (yaml.safe_load(run.read_text("job.yaml")) or {}).get("data") or {}
    if not any(data.get(name) for name in RowSource.SOURCES):
        raise ExportError(
            f"{run.url} was trained on a frame of a program, or on prepared rows, which can't be read again here. Expected rows to compare the "
            "export with: give them in Python, export_run(run, to, frame=rows)"
        )
    known = {*RowSource.model_fields, "schema"}
    source = RowSource.model_validate({name: value for name, value in data.items() if name in known})
    preprocess = resolve_function(source.preprocess, search_folders()) if source.preprocess is not None else None
    return ScoredRows(spark, source, preprocess, progress).frame


class _Exporter:
    def __init__(
        self,
        run: Folder,
        signature: Signature,
        front: InFront,
        form: str,
        model_file: Path,
        output: Sequence[Kind] | None,
        modules: Sequence[str],
    ) -> None:
        self._run, self._signature, self._front, self._form, self._file = run, signature, front, form, model_file
        run.download("model.keras", str(model_file))
        self._result = Result.of_folder(run, {})
        self._modules = tuple(dict.fromkeys([*(self._result.summary.get("modules") or ()), *modules]))
        self._outputs = scored_outputs(signature.outputs, lambda: compiled_losses(run))
        classes = any(each.decides != "value" for each in self._outputs)
        self._kinds = [
            kind for kind in KINDS if (kind in output if output else kind != "index" and (classes or kind != "probability"))
        ]
        self._scores = made_columns(self._outputs, self._kinds, {})
        self._specs: dict[str, tf.TensorSpec] = {}
        self._by_spark: dict[tuple[int, Kind], str] = {}

    def score_by_spark(self, spark: SparkSession, frame: DataFrame, most: int) -> list[Row]:
        """Return rows of the frame with the columns that go in, and with Spark's scores."""
        columns = list(self._front.columns)
        named: dict[str, str] = {kind: f"{_COMPARED}{kind}" for kind in KINDS}
        kinds = [kind for kind in KINDS if kind in self._kinds or kind == "raw"]  # which tells how near to a tie a class is
        scorer = FrameScorer(spark, self._run.url, output=kinds, nulls="keep", names=named, modules=self._modules)
        self._by_spark = {(number, kind): name for name, number, kind in made_columns(self._outputs, kinds, named)}
        part = min(1.0, max(0.05, 2 * most / max(self._result.rows, 1)))  # not only rows of the first files
        prepared = scorer.prepare(frame.sample(part, _SEED).limit(most))
        missing = {name for each in self._front.operations if each.stage.kind == "Imputer" for name in each.stage.reads}
        kinds_of = select(prepared, columns).schema
        self._specs = {name: tensor_spec(name, kinds_of[name].dataType, name in missing) for name in columns}
        return scorer.score(prepared, columns).collect()

    def write(self, made: Path, rows: Sequence[Row], name: str) -> ExportRecord:
        """Write the export into a folder of this machine, compare it, and return its record.

        Raises:
            ExportError: it can't be written in this form, or its scores differ from Spark's.
        """
        model = load_model(self._file, self._modules, url=f"{self._run.url}/model.keras")
        served = ServedModel(model, self._signature, self._front.operations, self._outputs, self._scores)
        write(self._form, served, self._specs, self._file, made)
        compared, difference, scores = compare(
            rows,
            self._specs,
            load(self._form, served, made),
            {name: self._by_spark[number, kind] for name, number, kind in self._scores},
            {name: self._tie(number) for name, number, kind in self._scores if kind in ("prediction", "index")},
        )
        if self._form == "savedmodel":
            whole = [row for row in rows if usable(row, self._specs)]
            write_warm_up(made, name, [next(batches(whole[:count], self._specs, count))[1] for count in _WARM_UP_ROWS])
        beside = made / _BESIDE
        beside.mkdir()
        for file in ("signature.json", "summary.json", "lineage.json", "classes.json"):
            if self._run.exists(file):
                self._run.download(file, str(beside / file))
        written = open_folder(made)
        return ExportRecord(
            run=self._run.url,
            format=self._form,
            exported=now(),
            columns=[_tensor(name, spec.dtype, spec.shape) for name, spec in self._specs.items()],
            scores=scores,
            preprocess=self._signature.preprocess,
            stages=[str(each.stage) for each in self._front.operations],
            left_out=[str(stage) for stage in self._front.left_out],
            rows_compared=compared,
            greatest_difference=difference,
            metrics=without_nan(self._result.metrics),
            files={file: written.sha256(file)[1] for file in written.files()},
            versions=_versions(self._form),
        )

    def _tie(self, number: int) -> Tie | None:
        output = self._outputs[number]
        if output.decides == "value":
            return None
        return Tie(self._by_spark[number, "raw"], 0.0 if output.logits else 0.5)


def _tensor(name: str, dtype: tf.DType, shape: tf.TensorShape) -> ExportedTensor:
    return ExportedTensor(name=name, dtype=dtype.name, shape=shape.as_list())


def _versions(form: str) -> dict[str, str]:
    found = {"sparktrain": sparktrain.__version__, "keras": keras.__version__, "tensorflow": tf.__version__}
    return found | {name: version(name) for name in ("onnx", "tf2onnx") if form == "onnx"}


def _publish(made: Path, record: ExportRecord, target: Folder) -> str:
    """Put the folder to the storage under the next number, whole."""
    path = made / _BESIDE / RECORD
    path.write_text(json.dumps(record.content(), indent=1) + "\n")
    staged = f"_staged/{time.time():.0f}-{secrets.token_hex(4)}"
    try:
        target.upload(str(made), staged)
        for _ in range(_TRIES):
            taken = [int(name) for name in (target.list() if target.exists() else []) if name.isdigit()]
            number = str(max(taken, default=0) + 1)
            try:
                target.publish(staged, number, f"{_BESIDE}/{RECORD}")
                return target.join(number).url
            except StorageError:
                if not target.exists(number):  # else another export has just taken the number
                    raise
        raise StorageError(f"{target.url}: {_TRIES} times another export took the number that this one was to have. Try again")
    finally:
        target.remove(staged, recursive=True)
