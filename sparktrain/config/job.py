"""A whole job, validated."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, Self

from pydantic import Field

from sparktrain.config import check, describe, yamltext
from sparktrain.config.data import Data
from sparktrain.config.kinds import NAME, Function, Section, Whole
from sparktrain.config.training import Cluster, Model, Output, Training


class Job(Section):
    """A training job of sparktrain: rows from Spark, a Keras model, and how the one is trained on the other."""

    name: Annotated[str, Field(pattern=NAME)] = "job"
    """The job's name, which Spark's application gets too."""
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = 7
    """What everything random starts from: the same seed, rows and workers give the same weights."""
    data: Data
    """The rows: where they come from, what is done with them, and what of them the model sees."""
    model: Model = Field(default_factory=Model)
    """The model: built by a function, or that of an earlier run."""
    training: Training = Field(default_factory=lambda: Training.model_validate({}))
    """How the model is trained."""
    cluster: Cluster = Field(default_factory=Cluster)
    """What the workers need of the cluster."""
    output: Output = Field(default_factory=Output)
    """Where the run's folder goes."""
    on_end: Function | None = None
    """A function called on the driver at the run's end, whatever the end, with the JSON line's content."""

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, whole: bool = False) -> Self:
        """The job that a mapping describes, in the words of the YAML contract.

        Args:
            mapping: sections to keys to values. Tuples count as lists, and a section may be None.
            whole: whether rows, model and output must be named, as in a job's file; a program gives them as objects.

        Raises:
            ConfigError: with every problem that was found.
        """
        return check.validate(cls, mapping, whole=whole)

    def to_yaml(self) -> str:
        """The job as YAML with every key that has a value, defaults too; `load` reads the same job from it."""
        return yamltext.dump(self.model_dump(by_alias=True, exclude_none=True))


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a job's file; editors complete from it."""
    return deepcopy(describe.schema_of(Job))
