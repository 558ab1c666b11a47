"""Folders on HDFS, on local disks and on object stores, behind one interface."""

from sparktrain.storage.claims import ClaimLost
from sparktrain.storage.errors import NotFound, StorageError
from sparktrain.storage.folder import SUMMARY, Folder, open_folder
from sparktrain.storage.hadoop import HADOOP_KEYS, hadoop_settings

__all__ = ["HADOOP_KEYS", "SUMMARY", "ClaimLost", "Folder", "NotFound", "StorageError", "hadoop_settings", "open_folder"]
