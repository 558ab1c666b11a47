"""A job's command line, and what of it can be checked without Spark: light enough for the launcher to ask first."""

from __future__ import annotations

import argparse
import secrets
from datetime import datetime, timezone

from sparktrain.config import ConfigError, Job, load
from sparktrain.driver.functions import check_function, search_folders


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train.py", description="Train a Keras model on rows that Spark prepares.")
    parser.add_argument("--config", required=True, metavar="YAML", help="the job; docs/configuration.md has every key")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="training.epochs=3, say; repeatable")
    parser.add_argument("--run-id", metavar="ID", help="the run's name; a finished one answers with its result")
    parser.add_argument("--check", action="store_true", help="a rehearsal: one step on a few rows, nothing kept")
    parser.add_argument("--result", metavar="PATH", help="write the JSON line into a file too")
    return parser


def load_job(options: argparse.Namespace) -> tuple[Job, list[str]]:
    """The job of a command line, with everything checked that needs no Spark.

    Raises:
        ConfigError: it can't work.
    """
    job = load(options.config, options.set)
    folders = search_folders(options.config)
    named = (
        ("data.preprocess", job.data.preprocess),
        ("model.build", job.model.build),
        ("training.callbacks", job.training.callbacks),
        ("on_end", job.on_end),
    )
    problems = [check_function(key, name, folders) for key, name in named if name is not None]
    if any(problems):
        raise ConfigError([problem for problem in problems if problem is not None], options.config)
    return job, folders


def new_run_id() -> str:
    """Sorts by time, and never comes twice."""
    return datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)
