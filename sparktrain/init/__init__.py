"""Writes a first job for the rows at a path: the command `sparktrain init`."""
