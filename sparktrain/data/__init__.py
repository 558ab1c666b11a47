"""From files, tables or a frame of the caller's to the frame that is trained on. Spark only."""

from sparktrain.data.arrays import pack
from sparktrain.data.dealing import deal
from sparktrain.data.errors import InputError, MissingColumn, NoFileSystem, explain, explained, first_line
from sparktrain.data.identity import ROW, VALIDATION
from sparktrain.data.pipeline import same_pipelines
from sparktrain.data.prepare import prepare
from sparktrain.data.prepared import Prepared
from sparktrain.data.writing import check_writable

__all__ = ["ROW", "VALIDATION", "InputError", "MissingColumn", "NoFileSystem", "Prepared", "check_writable", "deal", "explain", "explained",
           "first_line", "pack", "prepare", "same_pipelines"]
