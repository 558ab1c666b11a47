"""The configuration of a job: typed and validated, with errors that name their keys."""

from sparktrain.config import data_rules, job_rules, training_rules  # noqa: F401  # the import registers the rules
from sparktrain.config.base_job import BaseJob
from sparktrain.config.data import Data, Sample, Validation
from sparktrain.config.errors import ConfigError, Problem
from sparktrain.config.files import load
from sparktrain.config.inputs import ColumnSpec, Feature, InputSpec, Label
from sparktrain.config.job import Job, schema
from sparktrain.config.manual import reference
from sparktrain.config.search import Goal, Range, Search, Stop
from sparktrain.config.search_rules import load_search
from sparktrain.config.training import Checkpoint, Cluster, EarlyStopping, Model, Output, ScaleLearningRate, Training, WorkerRange

__all__ = [
    "BaseJob",
    "Checkpoint",
    "Cluster",
    "ColumnSpec",
    "ConfigError",
    "Data",
    "EarlyStopping",
    "Feature",
    "Goal",
    "InputSpec",
    "Job",
    "Label",
    "Model",
    "Output",
    "Problem",
    "Range",
    "Sample",
    "ScaleLearningRate",
    "Search",
    "Stop",
    "Training",
    "Validation",
    "WorkerRange",
    "load",
    "load_search",
    "reference",
    "schema",
]
