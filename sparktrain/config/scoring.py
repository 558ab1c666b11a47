"""The configuration of a scoring: rows, a trained model, what comes out, and where it is written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from sparktrain.config import yamltext
from sparktrain.config.kinds import NAME, Count, Function, Module, Section, Text, as_list, as_number, as_text, by_form
from sparktrain.config.source import RowSource

Kind = Literal["prediction", "probability", "raw", "index"]


class ScoredModel(Section):
    """The model that the rows are scored with."""

    load: Text | None = None
    """The URL of a finished run (…/latest for the newest), whose model, pipeline and classes are used."""
    modules: list[Module] = []
    """Modules that every executor imports before the model is loaded: those of your own layers, if the run doesn't record them."""


class Score(Section):
    """What comes out of the model for each row."""

    keep: list[Text] | None = None
    """The columns to keep, such as the rows' key; without it, all of them."""
    output: Annotated[
        Annotated[Kind, as_text] | Annotated[list[Kind], Field(min_length=1), as_list],
        by_form,
    ] = "prediction"
    """One or several of: prediction, the class or the number; probability, the model's numbers as probabilities; raw, its numbers as
    they are; index, the number of the class. A model with several outputs gives a column for each, such as prediction_late."""
    batch_size: Annotated[
        Annotated[Literal["auto"], as_text] | Annotated[Count, as_number],
        by_form,
    ] = "auto"
    """Rows that the model is called with at a time; auto: 1024, or fewer where they take more than 32 MiB."""
    nulls: Annotated[Literal["refuse", "keep"], BeforeValidator(lambda value: "keep" if value is None else value)] = "refuse"
    """What to do with a row that has a null in one of the model's columns. refuse: end with an error that names the column. keep, or
    null: keep the row, with a null prediction."""
    portions: Count | None = None
    """In how many portions, one after the other, files are scored: a scoring that was interrupted goes on with the first portion
    that isn't written. Without it, one for every 2 GiB of files for each core, at most 20."""


class ScoresOutput(Section):
    """Where the scores are written."""

    path: Text | None = None
    """The URL of the folder for the scores, such as hdfs:///scores/2026-11-28."""
    mode: Literal["new", "append"] = "new"
    """new: the folder is created, and must not exist. append: the scores are added to the folder in a folder run=ID, which Spark reads
    as one more column."""
    format: Text = "parquet"
    """The files' format: parquet, orc, csv, json, or any other that Spark has a writer for."""
    options: dict[str, StrictStr | StrictInt | StrictFloat | StrictBool] = {}
    """Options of Spark's writer for the format, such as {compression: zstd}."""
    partition_by: list[Text] = []
    """Columns by whose values the files are put into folders, such as day=2026-11-28."""


class ScoringJob(Section):
    """A scoring of sparktrain: rows from Spark, a trained model, and where its predictions are written."""

    name: Annotated[str, Field(pattern=NAME)] = "scoring"
    """The job's name, also used for Spark's application."""
    data: RowSource = Field(default_factory=lambda: RowSource.model_validate({}))
    """The rows, with the columns that the model, or its pipeline, was trained with."""
    model: ScoredModel = Field(default_factory=ScoredModel)
    """The model that the rows are scored with."""
    score: Score = Field(default_factory=Score)
    """What comes out of the model for each row."""
    output: ScoresOutput = Field(default_factory=ScoresOutput)
    """Where the scores are written."""
    on_end: Function | None = None
    """A function that is called on the driver with the JSON line's content when the scoring ends, however it ends."""

    @property
    def functions(self) -> dict[str, str | None]:
        """The user's functions, by the keys that name them."""
        return {"data.preprocess": self.data.preprocess, "on_end": self.on_end}

    def to_yaml(self) -> str:
        """Return the scoring as YAML with every key that has a value, including defaults."""
        return yamltext.dump(self.model_dump(by_alias=True, exclude_none=True))
