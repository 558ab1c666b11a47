"""The settings of a training as Spark ML's Params: names, defaults and texts are those of the configuration's schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError
from pyspark.ml.param import Param, Params

from sparktrain.config import ConfigError, Job, Problem
from sparktrain.config.keywords import KEYWORDS, job_of_keywords

P = TypeVar("P", bound=type[Params])
_OF_COLUMNS = ("features", "label", "weight", "validation", "pipeline")  # which Spark ML says by its own Params, and its stages
_ROWS: Mapping[str, Any] = {"features": ["x"], "label": "y"}
# Parameters of Horovod's, elephas's and TensorFlowOnSpark's estimators, and what does the same here
_ELSEWHERE = {
    "model": "build, a function that returns a compiled model, or a compiled model",
    "keras_model_config": "build, a function that returns a compiled model, or a compiled model",
    "optimizer": "an optimizer in the compiled model that `build` returns",
    "optimizer_config": "an optimizer in the compiled model that `build` returns",
    "loss": "a loss in the compiled model that `build` returns",
    "metrics": "metrics in the compiled model that `build` returns",
    "custom_objects": "nothing: custom layers, losses and metrics are found by the modules that define them",
    "num_proc": "workers",
    "num_workers": "workers",
    "cluster_size": "workers",
    "backend": "engine and workers",
    "store": "output, the URL of a folder",
    "model_dir": "output, the URL of a folder",
    "export_dir": "the fitted model's save",
    "feature_cols": "featuresCol, one column or a list of them",
    "features_cols": "featuresCol, one column or a list of them",
    "label_cols": "labelCol, or KerasEstimator's `label` for several outputs",
    "sample_weight_col": "weightCol",
    "val_batch_size": "nothing: validation takes what `batchSize` leaves of the memory",
    "nb_epoch": "epochs",
    "steps": "epochs",
    "train_steps_per_epoch": "epochs: each has every row once",
    "validation": "validationIndicatorCol, a column that is true for the rows to validate on",
    "validation_split": "validationIndicatorCol, a column that is true for the rows to validate on",
    "partitions_per_process": "nothing: each worker's rows are dealt out by their content",
    "run_id": "output, under which each run has a folder of its own",
    "transformation_fn": "a stage of the Pipeline in front of this one",
    "categorical": "a model whose loss takes class numbers: sparse_categorical_crossentropy",
    "nb_classes": "nothing: the model's last layer says it",
    "frequency": "average",
    "mode": "average",
    "input_mapping": "KerasEstimator's `features`",
    "output_mapping": "predictionCol, probabilityCol and rawPredictionCol",
    "num_ps": "nothing: gradients are averaged without parameter servers",
}


def camel(name: str) -> str:
    """Return a keyword's name in Spark ML's spelling: `batch_size` becomes `batchSize`."""
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def snake(name: str) -> str:
    """Return a Param's name in Python's spelling: `batchSize` becomes `batch_size`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", name)


_RENAMED = {"save": "savedEpoch"}  # `save` writes a stage
# The words of `sparktrain.train`, by the Param's name
TRAINING = {_RENAMED.get(name, camel(name)): name for name in KEYWORDS if name not in _OF_COLUMNS}


def _converter(word: str) -> Callable[[Any], Any]:
    dotted = KEYWORDS[word].key
    section, _, key = dotted.rpartition(".")

    def convert(value: Any) -> Any:
        """Return the value if its key allows it.

        Raises:
            TypeError: it doesn't, as Spark ML's own converters raise; the message says what came and what is allowed.
        """
        if word == "callbacks" and callable(value):
            return value
        model = Job.model_fields[section].annotation if section else Job
        assert isinstance(model, type)  # every section is a class
        base: Mapping[str, Any] = _ROWS if section == "data" else {} if section else {"data": _ROWS}
        try:
            model.model_validate({**base, key: None if value is False else value})
        except ValidationError:
            try:
                job_of_keywords("ml", {**_ROWS, word: value})
            except ConfigError as error:
                raise TypeError("; ".join(map(str, error.problems))) from error
            raise
        return value

    return convert


def spark_ml_class(cls: P) -> P:
    """Return a class of Params with a setter, which returns the instance, and a getter for each Param that has none.

    The class is named by the room that exports it: saved stages are loaded by that name.
    """
    cls.__module__ = "sparktrain.ml"
    for name in dir(cls):
        if not isinstance(getattr(cls, name), Param):
            continue
        suffix = name[0].upper() + name[1:]

        def set_it(self: Any, value: Any, name: str = name) -> Any:
            return self._set(**{name: value})

        def get_it(self: Any, name: str = name) -> Any:
            return self.getOrDefault(name)

        for prefix, function in (("set", set_it), ("get", get_it)):
            if not hasattr(cls, prefix + suffix):
                function.__name__ = prefix + suffix
                function.__doc__ = f"{'Set' if prefix == 'set' else 'Return'} `{name}`: {getattr(cls, name).doc}"
                setattr(cls, prefix + suffix, function)
    return cls


class TrainingParams(Params):
    """The settings of `sparktrain.train` as Params, in Spark ML's spelling; those that aren't set have a job's defaults."""

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(
            **{name: KEYWORDS[word].default for name, word in TRAINING.items() if KEYWORDS[word].default is not None}
        )

    def _words(self) -> dict[str, Any]:
        """Return the keyword arguments of `sparktrain.train` for the Params that are set."""
        return {word: self.getOrDefault(name) for name, word in TRAINING.items() if self.isSet(name)}

    def _set_all(self, given: Mapping[str, Any]) -> None:
        """Set Params by their names; None leaves one as it is.

        Raises:
            ConfigError: there are no such Params, all of them at once; the message says what to use instead.
        """
        wrong = [_unknown(name, [each.name for each in self.params]) for name in given if not self.hasParam(name)]
        if wrong:
            raise ConfigError(wrong, type(self).__name__)
        self._set(**given)


for _name, _word in TRAINING.items():
    setattr(TrainingParams, _name, Param(Params._dummy(), _name, " ".join(KEYWORDS[_word].text.split()), _converter(_word)))


def _unknown(name: str, known: list[str]) -> Problem:
    instead = _ELSEWHERE.get(snake(name))
    near = get_close_matches(camel(name), known, 1, cutoff=0.6)
    hint = f"use {instead}" if instead is not None else f"did you mean {near[0]}?" if near else ""
    return Problem(name, "no such parameter", "" if hint else f"one of {', '.join(known)}", hint)
