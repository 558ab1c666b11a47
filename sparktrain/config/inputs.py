"""The forms that a job's features and label may have, and the common form that they are converted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field

from sparktrain.config.kinds import Class, Count, Number, Section, Text, as_list, as_mapping, as_names, as_text, by_form, form_of


class Feature(Section):
    """A column of an input, and how its values are converted to an array."""

    column: Text
    """The column's name."""
    shape: list[Count] | None = None
    """The shape of one row's array, such as [28, 28]. Without it, it is found from the data."""
    length: Count | None = None
    """Sequences of different lengths are padded or cut to this many items."""
    pad: Number = 0.0
    """With `length`: the value that short sequences are padded with."""
    side: Literal["pre", "post"] = "pre"
    """With `length`: where sequences are padded and cut: `pre` before the first item (as Keras does), `post` after the
    last."""


class Label(Section):
    """The label's column, and the classes that it may hold."""

    column: Text
    """The label's column."""
    classes: Annotated[list[Class], Field(min_length=2)] | None = None
    """The classes, in the order of the model's outputs: the first is class 0. Integers, strings or booleans."""


Columns = Annotated[list[Text], Field(min_length=1)]
OneInput = Annotated[
    Annotated[Text, as_text] | Annotated[Columns, as_list] | Annotated[Feature, as_mapping],
    by_form,
]
InOrder = Annotated[list[Annotated[Annotated[Text, as_text] | Annotated[Feature, as_mapping], by_form]], Field(min_length=1)]
Features = Annotated[
    Annotated[InOrder, as_list] | Annotated[dict[Text, OneInput], Field(min_length=1), as_mapping],
    by_form,
]
Labels = Annotated[list[Text], Field(min_length=2)]


def _label_form(value: Any) -> str:
    form = form_of(value)
    return "<names>" if form == "<mapping>" and isinstance(value, dict) and not Label.model_fields.keys() & value.keys() else form


LabelForm = Annotated[
    Annotated[Text, as_text]
    | Annotated[Labels, as_list]
    | Annotated[Label, as_mapping]
    | Annotated[dict[Text, Text], Field(min_length=1), as_names],
    Discriminator(_label_form),
]


@dataclass(frozen=True)
class ColumnSpec:
    """A column of an input, in the common form.

    Attributes:
        column: the column's name.
        shape: the shape of one row's array; None if it is found from the data.
        length: the number of items that sequences are padded or cut to; None if they aren't.
        pad: the value that short sequences are padded with.
        side: where they are padded and cut: `pre` (at the front) or `post`.
    """

    column: str
    shape: tuple[int, ...] | None = None
    length: int | None = None
    pad: float = 0
    side: str = "pre"


@dataclass(frozen=True)
class InputSpec:
    """One of the model's inputs; several columns are concatenated on the last axis."""

    name: str
    columns: tuple[ColumnSpec, ...]


def specs(features: list[str | Feature] | dict[str, str | list[str] | Feature]) -> tuple[InputSpec, ...]:
    """Return the inputs in the model's order, from any form that the job gives them in."""
    if isinstance(features, list):
        return tuple(InputSpec(one if isinstance(one, str) else one.column, _columns(one)) for one in features)
    return tuple(InputSpec(name, _columns(feature)) for name, feature in features.items())


def _columns(feature: str | list[str] | Feature) -> tuple[ColumnSpec, ...]:
    if isinstance(feature, str):
        return (ColumnSpec(feature),)
    if isinstance(feature, list):
        return tuple(ColumnSpec(column) for column in feature)
    shape = None if feature.shape is None else tuple(feature.shape)
    return (ColumnSpec(feature.column, shape, feature.length, feature.pad, feature.side),)
