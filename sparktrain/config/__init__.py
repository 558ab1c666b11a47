"""The configuration of a job: typed and validated, with errors that name their keys."""

from sparktrain.config import data_rules, job_rules, training_rules  # noqa: F401  # the import registers the rules
from sparktrain.config.data import Data, Sample, Validation
from sparktrain.config.errors import ConfigError, Problem
from sparktrain.config.files import load
from sparktrain.config.inputs import ColumnSpec, Feature, InputSpec, Label
from sparktrain.config.job import Job, schema
from sparktrain.config.manual import reference
from sparktrain.config.training import Checkpoint, Cluster, EarlyStopping, Model, Output, ScaleLearningRate, Training, WorkerRange

__all__ = [
    "Checkpoint",
    "Cluster",
    "ColumnSpec",
    "ConfigError",
    "Data",
    "EarlyStopping",
    "Feature",
    "InputSpec",
    "Job",
    "Label",
    "Model",
    "Output",
    "Problem",
    "Sample",
    "ScaleLearningRate",
    "Training",
    "Validation",
    "WorkerRange",
    "load",
    "reference",
    "schema",
]
