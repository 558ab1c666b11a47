"""Writes Arrow batches to segments on local disk, and reads these as batches of named NumPy arrays by a pure schedule.

Uses neither Spark nor a framework. Filling: `SegmentWriter`; agreement with the other parts: `agree_through`; reading: `Shard`.
"""

from sparktrain.feed.agreement import agree, agree_through, label_counts
from sparktrain.feed.disks import Disk, Disks
from sparktrain.feed.errors import BadInput, NoRows
from sparktrain.feed.fill import SegmentWriter
from sparktrain.feed.filled import Filled
from sparktrain.feed.layout import MORE_LABEL, Column, Input, Layout
from sparktrain.feed.schedule import Schedule
from sparktrain.feed.shard import Batch, Shard
from sparktrain.feed.strings import dtype_name
from sparktrain.feed.types import check_types

__all__ = [
    "MORE_LABEL",
    "BadInput",
    "Batch",
    "Column",
    "Disk",
    "Disks",
    "Filled",
    "Input",
    "Layout",
    "NoRows",
    "Schedule",
    "SegmentWriter",
    "Shard",
    "agree",
    "agree_through",
    "check_types",
    "dtype_name",
    "label_counts",
]
