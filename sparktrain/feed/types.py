"""Checks, before any row is read, that columns have types that can be trained on."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from sparktrain.feed.columns import check_padding, element_dtype, input_dtypes
from sparktrain.feed.labels import check_weight_type, label_dtype
from sparktrain.feed.layout import MORE_LABEL, Layout


def check_types(layout: Layout, kinds: Mapping[str, pa.DataType]) -> None:
    """Refuse columns whose types can't be trained on.

    Args:
        layout: which columns are inputs, label and weight.
        kinds: the types of the columns; columns without a type are not checked.

    Raises:
        BadInput: names the column, its type, and what to do.
    """
    for source in layout.inputs:
        there = [column for column in source.columns if column.name in kinds]
        if len(there) == len(source.columns):
            input_dtypes(source, [kinds[column.name] for column in there])
        for column in there:
            element_dtype(column.name, kinds[column.name])
            check_padding(column, kinds[column.name])
            if source.name.startswith(MORE_LABEL):
                label_dtype(column.name, kinds[column.name], None)
    if layout.label in kinds:
        label_dtype(layout.label, kinds[layout.label], layout.classes)
    if layout.weight is not None and layout.weight in kinds:
        check_weight_type(layout.weight, kinds[layout.weight])
