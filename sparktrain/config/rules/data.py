"""The rules of the section `data`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from math import prod
from typing import Any

from sparktrain.config.data import Data, Sample
from sparktrain.config.errors import ConfigError, Problem, show
from sparktrain.config.inputs import Feature, Label
from sparktrain.config.rules.rule import among, once, rule


@rule(Data)
def _already_prepared(data: Data) -> Iterator[Problem]:
    """A prepared frame needs no further preparation, and its files are Parquet."""
    if data.prepared is None:
        return
    for name in ("where", "preprocess", "validation", "pipeline", "sample"):
        if getattr(data, name):
            yield Problem(
                f"data.{name}",
                "came with data.prepared, whose rows are prepared already",
                "this key only in the job that jobs/prepare.py is given",
                "remove it (or set it to null)",
            )
    for name, is_set in (
        ("format", data.format != "parquet"),
        ("corrupt", data.corrupt != "fail"),
    ):
        if is_set:
            yield Problem(f"data.{name}", "came with data.prepared", "data.path, whose files it describes", "remove it")


@rule(Data, "validation")
def _validation(data: Data) -> Iterator[Problem]:
    validation = data.validation
    if validation is not None:
        yield from among("data.validation", validation, ("fraction", "folds", "where", "path"), needed=True)
        if validation.by is not None and validation.share is None:
            yield Problem(
                "data.validation.by",
                "came without data.validation.fraction or folds",
                "data.validation.fraction, or data.validation.folds",
                "set the share, such as fraction: 0.1",
            )
        for name in ("fold", "parallel"):
            if getattr(validation, name) is not None and validation.folds is None:
                key = f"data.validation.{name}"
                yield Problem(key, "came without data.validation.folds", "data.validation.folds", "set it, such as folds: 5")
        if validation.folds is not None and validation.fold is not None and validation.fold >= validation.folds:
            yield Problem(
                "data.validation.fold",
                f"{validation.fold} came",
                f"0 to {validation.folds - 1}, as there are {validation.folds} folds",
            )


@rule(Data, "sample")
def _sample(data: Data) -> Iterator[Problem]:
    if data.sample is not None:
        yield from among("data.sample", data.sample, tuple(Sample.model_fields), needed=True)


@rule(Data, "features")
def _features(data: Data) -> Iterator[Problem]:
    features = data.features
    if isinstance(features, list):
        yield from once("data.features", [one.column if isinstance(one, Feature) else one for one in features])
        for number, feature in enumerate(features):
            if isinstance(feature, Feature):
                yield from _sequence(f"data.features[{number}]", feature)
        return
    for name, given in features.items():
        key = f"data.features.{name}"
        if isinstance(given, list):
            yield from once(key, given)
        elif isinstance(given, Feature):
            yield from _sequence(key, given)


def _sequence(key: str, feature: Feature) -> Iterator[Problem]:
    if feature.length is None:
        for name, value, default in (("pad", feature.pad, 0), ("side", feature.side, "pre")):
            if value != default:
                yield Problem(
                    f"{key}.{name}",
                    f"came without {key}.length",
                    "length, which it belongs to",
                    "set the length of the padded sequence, such as length: 200",
                )
    elif feature.shape is not None and prod(feature.shape) % feature.length:
        yield Problem(
            f"{key}.shape",
            f"{show(feature.shape)} came with length: {feature.length}",
            f"a shape of {feature.length} numbers, or of a multiple",
            "leave it out to have it found from the data",
        )


@rule(Data, "label")
def _classes(data: Data) -> Iterator[Problem]:
    classes = data.classes
    if classes is not None:
        if len({type(one) for one in classes}) > 1:
            yield Problem(
                "data.label.classes",
                f"{show(classes)} came",
                "all integers, all strings or all booleans",
                'quote the strings, such as "1"',
            )
        else:
            yield from once("data.label.classes", classes)


@rule(Data, "label")
def _several_labels(data: Data) -> Iterator[Problem]:
    yield from once("data.label", list(data.labels))
    for name in data.outputs or ():
        meant = difflib.get_close_matches(name, Label.model_fields, n=1, cutoff=0.75)
        if meant:
            yield Problem(
                f"data.label.{name}",
                f"{show(name)} came as the name of an output",
                "the names of the model's outputs, or column and classes",
                f"did you mean {meant[0]}?",
            )


@rule(Data, "sample", "label")
def _sampled_classes(data: Data) -> Iterator[Problem]:
    if data.sample is not None and data.sample.fractions is not None:
        yield from known_classes(data, "data.sample.fractions", data.sample.fractions)


def known_classes(data: Data, key: str, named: dict[Any, float]) -> Iterator[Problem]:
    """Yield a problem for each class of a mapping that isn't one of the label's classes."""
    classes = data.classes
    known = None if classes is None else [(type(one), one) for one in classes]
    for label in named:
        if known is not None and (type(label), label) not in known:
            yield Problem(
                f"{key}.{str(label).lower() if isinstance(label, bool) else label}",
                f"no class {show(label)}",
                f"one of data.label.classes: {show(classes)}",
            )


def refuse_cross_validation(data: Data, what: str) -> None:
    """Refuse rows that stand for cross-validation where one set of them, or one model, is to come of it.

    Args:
        what: what is to be done with the rows.

    Raises:
        ConfigError: its validation has `folds` without `fold`.
    """
    if data.validation is not None and data.validation.crosses:
        hint = "set data.validation.fold as well; jobs/train.py and sparktrain.cross_validate train a model for each fold"
        raise ConfigError([Problem("data.validation.folds", f"came to {what}", "one part of the rows to validate on", hint)])
