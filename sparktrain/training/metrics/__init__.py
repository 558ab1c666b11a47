"""Metrics over the rows of all workers."""
