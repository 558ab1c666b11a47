"""The configuration of a job: typed and validated, with errors that name their keys."""

from sparktrain.config import rules  # noqa: F401  # the import registers them
from sparktrain.config.base_job import BaseJob
from sparktrain.config.data import Data, Sample, Validation
from sparktrain.config.errors import ConfigError, Problem
from sparktrain.config.files import load
from sparktrain.config.inputs import ColumnSpec, Feature, InputSpec, Label
from sparktrain.config.job import Job
from sparktrain.config.manual import reference, schema
from sparktrain.config.rules.scoring import load_scoring
from sparktrain.config.rules.search import load_search
from sparktrain.config.scoring import Score, ScoredModel, ScoresOutput, ScoringJob
from sparktrain.config.search import Goal, Range, Search, Stop
from sparktrain.config.source import RowSource
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
    "RowSource",
    "Sample",
    "ScaleLearningRate",
    "Score",
    "ScoredModel",
    "ScoresOutput",
    "ScoringJob",
    "Search",
    "Stop",
    "Training",
    "Validation",
    "WorkerRange",
    "load",
    "load_scoring",
    "load_search",
    "reference",
    "schema",
]
