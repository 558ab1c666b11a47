"""What a job's YAML may say: typed, validated, every error naming its key."""

from sparktrain.config import data_rules, job_rules, training_rules  # noqa: F401  # which are registered so
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
