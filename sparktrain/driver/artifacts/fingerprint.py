"""Fingerprints of the objects that a program passes: functions, models, pipelines, a frame's plan."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame

from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.usercode.fingerprint import of_function
from sparktrain.usercode.lookup import goes_by_name

_NUMBERED = re.compile(r"#\d+L?|\bplan_id=\d+")  # Spark numbers a plan's columns anew in each application


def of_supplied(supplied: SuppliedObjects, *, rows_kept: bool) -> dict[str, str]:
    """Return a fingerprint of each object that a program passes, by its name: model, preprocess, callbacks, pipeline, frame.

    Args:
        supplied: the objects. Functions of modules are left out: the hashes of their files identify them.
        rows_kept: whether the run reads rows that it has stored, so that the frame doesn't matter.
    """
    found = {}
    for name, value in (("model", supplied.model), ("preprocess", supplied.preprocess), ("callbacks", supplied.callbacks)):
        if hasattr(value, "train_on_batch"):
            found[name] = of_model(value)
        elif value is not None and not goes_by_name(value):
            found[name] = of_function(value)
    if supplied.pipeline is not None:
        found["pipeline"] = of_pipeline(supplied.pipeline)
    if supplied.frame is not None and not rows_kept:
        found["frame"] = of_frame(supplied.frame)
    return found


def of_model(model: Any) -> str:
    """Return the SHA-256 of a Keras model's layers and compile settings; its weights, which are random, are left out."""
    settings = json.dumps([model.get_config(), model.get_compile_config()], default=repr, sort_keys=True)
    # Keras counts layers up within a process
    return hashlib.sha256(re.sub(r'_\d+(?=["/])', "", settings).encode()).hexdigest()


def of_pipeline(pipeline: Any) -> str:
    """Return the SHA-256 of a Spark ML Pipeline's or PipelineModel's stages and parameters, without what they were fitted to."""

    def described(stage: Any) -> list[Any]:
        inner = stage.getStages() if isinstance(stage, Pipeline) else stage.stages if isinstance(stage, PipelineModel) else []
        set_to = {param.name: str(value) for param, value in stage.extractParamMap().items() if param.name != "stages"}
        return [type(stage).__qualname__, set_to, [described(each) for each in inner]]

    # Some parameters' defaults have the stage's uid in them, which is random
    plain = re.sub(r"_[0-9a-f]{12}", "", json.dumps(described(pipeline), sort_keys=True))
    return hashlib.sha256(plain.encode()).hexdigest()


def of_frame(frame: DataFrame) -> str:
    """Return the SHA-256 of a frame's analysed plan: its sources, conditions, functions and columns, but not its rows.

    It may differ between versions of Spark.
    """
    conf, key = frame.sparkSession.conf, "spark.sql.debug.maxToStringFields"
    before = conf.get(key, None)
    conf.set(key, str(1 << 30))
    try:
        plan = frame._jdf.queryExecution().analyzed().toString()
    finally:
        if before is None:
            conf.unset(key)
        else:
            conf.set(key, before)
    return hashlib.sha256(_NUMBERED.sub("", plan).encode()).hexdigest()
