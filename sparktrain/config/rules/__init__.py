"""The rules between the keys of a configuration, in a file for each section; importing one registers its rules."""

from sparktrain.config.rules import data, job, scoring, search, source, training  # noqa: F401
