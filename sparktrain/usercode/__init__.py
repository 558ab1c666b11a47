"""Finds, checks and packs the user's functions and modules for the executors."""
