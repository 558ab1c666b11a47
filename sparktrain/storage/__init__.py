"""Folders on HDFS, on this machine's disks and on object stores, behind one door."""

from sparktrain.storage.claims import ClaimLost
from sparktrain.storage.errors import NotFound, StorageError
from sparktrain.storage.folder import SUMMARY, Folder, open_folder
from sparktrain.storage.hadoop import HADOOP_KEYS, hadoop_settings

__all__ = ["HADOOP_KEYS", "SUMMARY", "ClaimLost", "Folder", "NotFound", "StorageError", "hadoop_settings", "open_folder"]
