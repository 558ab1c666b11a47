"""Saves and loads estimators and models as Spark ML's stages, without running code of whoever wrote them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReader, MLWriter
from pyspark.sql import SparkSession

from sparktrain.config import ConfigError
from sparktrain.data import InputError
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.ml.keras_params import is_keras_model
from sparktrain.models.by_value import from_value
from sparktrain.models.custom_objects import load_model
from sparktrain.runs.paths import MODEL
from sparktrain.runs.result import Result
from sparktrain.storage import Folder, NotFound, open_folder
from sparktrain.usercode.lookup import source

LOAD_CODE = "spark.sparktrain.ml.loadCode"  # a setting of Spark's session
_VERSION = 1  # of what is beside Spark ML's own metadata; raised when an earlier sparktrain couldn't read it
_FUNCTIONS = ("build", "callbacks")  # Params whose values may be functions
_RUN, _BUILD = "run", "build.keras"


class EstimatorWriter(MLWriter):
    """Writes an estimator: its Params, functions by their names, and a compiled model as model.keras."""

    def __init__(self, instance: Any) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:
        """Write to a path.

        Raises:
            StorageError: the storage can't be written.
        """
        instance = self._instance
        functions: dict[str, Any] = {}
        for name in _FUNCTIONS:
            if not instance.isSet(name) or isinstance(instance.getOrDefault(name), str):
                continue
            value = instance.getOrDefault(name)
            if is_keras_model(value):
                with tempfile.TemporaryDirectory(prefix="sparktrain-") as scratch:
                    file = Path(scratch, MODEL)
                    value.save(file)
                    _folder(self.sparkSession, path).upload(file, _BUILD)
                functions[name] = {"model": _folder(self.sparkSession, path).sha256(_BUILD)[1]}
            else:
                found = source(value)
                functions[name] = {"function": found.function} if found.function is not None else {"pickle": found.pickle}
        plain = {param.name: value for param, value in instance._paramMap.items() if param.name not in functions}
        extra = {"sparktrain": _VERSION, "functions": functions}
        DefaultParamsWriter.saveMetadata(instance, path, self.sparkSession, extra, plain)


class EstimatorReader(MLReader[Any]):
    """Reads what `EstimatorWriter` has written."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Return the estimator at a path.

        Raises:
            InputError: it is another stage, of a later version, was changed after it was written, or has code that isn't allowed to run.
        """
        spark = self.sparkSession
        metadata = _metadata(spark, path, self._kind)
        instance = self._kind()
        _set(instance, metadata)
        for name, saved in metadata["functions"].items():
            if "function" in saved:
                instance._set(**{name: saved["function"]})
            elif "model" in saved:
                instance._set(**{name: _model(_folder(spark, path), saved["model"])})
            elif spark.conf.get(LOAD_CODE, "false") == "true":
                instance._set(**{name: from_value(saved["pickle"])})
            else:
                raise InputError(
                    f"{path}: its `{name}` is a function of a script or a notebook, which is saved as code, and loading it runs that code. If "
                    f'you trust who wrote it: spark.conf.set("{LOAD_CODE}", "true"). A function of a module is saved by its name alone'
                )
        return instance


class ModelWriter(MLWriter):
    """Writes a model: its Params, and the folder of the run that trained it."""

    def __init__(self, instance: Any) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:
        """Write to a path.

        Raises:
            StorageError: the storage can't be written.
        """
        folder = _folder(self.sparkSession, path)
        self._instance.result.save(folder.join(_RUN).url)
        extra = {"sparktrain": _VERSION, "model": folder.sha256(f"{_RUN}/{MODEL}")[1]}
        DefaultParamsWriter.saveMetadata(self._instance, path, self.sparkSession, extra)


class ModelReader(MLReader[Any]):
    """Reads what `ModelWriter` has written."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Return the model at a path. Its layers are loaded when it first scores, in the executors.

        Raises:
            InputError: it is another stage, of a later version, or was changed after it was written.
        """
        spark = self.sparkSession
        metadata = _metadata(spark, path, self._kind)
        folder = _folder(spark, path)
        _check_digest(folder, f"{_RUN}/{MODEL}", metadata["model"])
        instance = self._kind(Result.of_folder(folder.join(_RUN), hadoop_settings(spark)))
        _set(instance, metadata)
        return instance


def _folder(spark: SparkSession, path: str) -> Folder:
    return open_folder(qualified(spark, path), hadoop_settings(spark))


def _metadata(spark: SparkSession, path: str, kind: type[Any]) -> dict[str, Any]:
    metadata = DefaultParamsReader.loadMetadata(path, spark)
    expected = f"{kind.__module__}.{kind.__name__}"
    if metadata["class"] != expected:
        raise InputError(f"{path} has a {metadata['class']}; expected a {expected}: load it by its own class")
    if metadata.get("sparktrain", 0) > _VERSION:
        raise InputError(
            f"{path} was written by a later version of sparktrain; expected one of version {_VERSION}: update sparktrain"
        )
    return metadata


def _set(instance: Any, metadata: dict[str, Any]) -> None:
    instance._resetUid(metadata["uid"])
    known = {param.name for param in instance.params}
    unknown = sorted({*metadata["paramMap"]} - known)
    if unknown:
        raise InputError(
            f"a saved {type(instance).__name__} has the parameter {unknown[0]}, which this version of sparktrain doesn't know"
        )
    try:
        DefaultParamsReader.getAndSetParams(instance, metadata)
    except (TypeError, ConfigError) as error:
        raise InputError(f"a saved {type(instance).__name__} can't be loaded: {error}") from error


def _check_digest(folder: Folder, name: str, digest: str) -> None:
    try:
        found = folder.sha256(name)[1]
    except NotFound as error:
        raise InputError(f"{folder.url} has no {name}: it was removed after it was written") from error
    if found != digest:
        raise InputError(
            f"{folder.url}/{name} has the SHA-256 {found}, but it was written with {digest}: it was changed or damaged since. Save the model "
            "again"
        )


def _model(folder: Folder, digest: str) -> Any:
    _check_digest(folder, _BUILD, digest)
    with tempfile.TemporaryDirectory(prefix="sparktrain-") as scratch:
        file = Path(scratch, MODEL)
        folder.download(_BUILD, file)
        return load_model(file, (), url=f"{folder.url}/{_BUILD}")
