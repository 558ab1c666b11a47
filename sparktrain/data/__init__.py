"""Prepares the frame to train on, from files, tables or a frame of the caller's. Spark only."""

from sparktrain.data.arrays import pack
from sparktrain.data.arrow_types import arrow_type
from sparktrain.data.dealing import deal
from sparktrain.data.errors import (
    InputError,
    MissingColumn,
    MissingSource,
    NoFileSystem,
    UnfitColumn,
    explain,
    explained,
    first_line,
)
from sparktrain.data.identity import ROW, VALIDATION
from sparktrain.data.pipeline import same_pipelines
from sparktrain.data.prepare import prepare
from sparktrain.data.prepared import Prepared
from sparktrain.data.splitting import mark_validation, share_notes
from sparktrain.data.writing import check_writable

__all__ = [
    "ROW",
    "VALIDATION",
    "InputError",
    "MissingColumn",
    "MissingSource",
    "NoFileSystem",
    "Prepared",
    "UnfitColumn",
    "arrow_type",
    "check_writable",
    "deal",
    "explain",
    "explained",
    "first_line",
    "mark_validation",
    "pack",
    "prepare",
    "same_pipelines",
    "share_notes",
]
