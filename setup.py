"""Installs sparktrain for tools that look for a setup.py. What the package is and needs is in pyproject.toml."""

from setuptools import setup

setup()
