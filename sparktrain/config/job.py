"""The job: all sections of a configuration, validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field

from sparktrain.config import check, yamltext
from sparktrain.config.data import Data
from sparktrain.config.kinds import NAME, Function, Section, Whole
from sparktrain.config.training import Cluster, Model, Output, Training


class Job(Section):
    """A training job of sparktrain: rows from Spark, a Keras model, and how to train the model on the rows."""

    name: Annotated[str, Field(pattern=NAME)] = "job"
    """The job's name, also used for Spark's application."""
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = 7
    """The seed of everything random: the same seed, rows and workers give the same weights."""
    data: Data
    """The rows: their source, their preparation, and the columns that the model is given."""
    model: Model = Field(default_factory=Model)
    """The model: built by a function, or loaded from an earlier run."""
    training: Training = Field(default_factory=lambda: Training.model_validate({}))
    """How the model is trained."""
    cluster: Cluster = Field(default_factory=Cluster)
    """What the workers need of the cluster."""
    output: Output = Field(default_factory=Output)
    """Where the run's folder is written."""
    on_end: Function | None = None
    """A function that is called on the driver with the JSON line's content when the run ends, however it ends."""

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, whole: bool = False) -> Self:
        """Return the job that a mapping with the keys of the YAML describes.

        Args:
            mapping: the keys and values of each section. Tuples count as lists, and a section may be None.
            whole: whether rows, model and output must be named, as in a job's file; a program may pass them as objects.

        Raises:
            ConfigError: the job can't work; the error has every problem.
        """
        return check.validate(cls, mapping, whole=whole)

    @property
    def functions(self) -> dict[str, str | None]:
        """The user's functions, by the keys that name them."""
        return {
            "data.preprocess": self.data.preprocess,
            "model.build": self.model.build,
            "training.callbacks": self.training.callbacks,
            "on_end": self.on_end,
        }

    def to_yaml(self) -> str:
        """Return the job as YAML with every key that has a value, including defaults; `load` reads the same job from it."""
        return yamltext.dump(self.model_dump(by_alias=True, exclude_none=True))
