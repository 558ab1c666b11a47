"""The types of the values in a job's sections."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
)

FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
MODULE = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
NAME = r"^\w[\w.-]*$"
SIZE = r"^[1-9][0-9]*[mgtMGT]$"
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


class Section(BaseModel):
    """A section of a job: immutable; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def form_of(value: Any) -> str:
    """Return the tag of a value's form: mapping, list, text, number or other."""
    if isinstance(value, (dict, BaseModel)):
        return "<mapping>"
    if isinstance(value, (list, tuple)):
        return "<list>"
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "<number>"
    return "<other>"


# In a union of several forms, the value's form selects the alternative that it is validated against, so that an error is
# about the one that was meant. The tags have brackets, to recognise them in the errors' locations.
by_form = Discriminator(form_of)
as_mapping, as_list, as_text, as_number = Tag("<mapping>"), Tag("<list>"), Tag("<text>"), Tag("<number>")
as_names = Tag("<names>")
TAGS = [form.tag for form in (as_mapping, as_list, as_text, as_number, as_names)]


def _number(value: Any) -> Any:
    # YAML 1.1 reads 1e-3, which has no point, as a string.
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} is no string")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"a {type(value).__name__} is no plain value")


Text = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Number = Annotated[float, Strict(), BeforeValidator(_number)]
Positive = Annotated[float, Strict(), Field(gt=0), BeforeValidator(_number)]
NotNegative = Annotated[float, Strict(), Field(ge=0), BeforeValidator(_number)]
Share = Annotated[float, Strict(), Field(gt=0, le=1), BeforeValidator(_number)]
Part = Annotated[float, Strict(), Field(gt=0, lt=1), BeforeValidator(_number)]
Flag = StrictBool
Function = Annotated[str, Field(pattern=FUNCTION)]
Module = Annotated[str, Field(pattern=MODULE)]
Class = StrictInt | StrictStr | StrictBool
Args = Annotated[dict[str, Any], AfterValidator(_plain)]
Paths = Annotated[
    Annotated[Text, as_text] | Annotated[list[Text], Field(min_length=1), as_list],
    by_form,
    AfterValidator(lambda paths: [paths] if isinstance(paths, str) else paths),
]
