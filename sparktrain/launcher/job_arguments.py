"""Parses a job program's command line, and checks what can be checked without Spark."""

from __future__ import annotations

import argparse
import posixpath
import sys
from typing import NoReturn

from sparktrain.config import ConfigError, Job, Problem, ScoringJob, load, load_scoring, load_search
from sparktrain.config.names import check_name, check_run_id
from sparktrain.config.rules.search import check_space
from sparktrain.display.result_line import say
from sparktrain.runs.result import Result, exit_status
from sparktrain.runs.run_id import new_run_id
from sparktrain.usercode.arguments import unknown_arguments
from sparktrain.usercode.lookup import check_function, check_module, search_folders
from sparktrain.usercode.packing import data_files


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse the command line with a JSON line, as for every configuration that can't work, and exit."""
        self.print_usage(sys.stderr)
        refused = Result(run=new_run_id(), status="refused", reason=message)
        say(refused)
        self.exit(exit_status(refused), f"{self.prog}: {message}\n")


PREPARE, TUNE, SCORE = "prepare.py", "tune.py", "score.py"
_ABOUT = {
    PREPARE: "Prepare a job's rows once, for data.prepared.",
    TUNE: "Search for the best values of some keys of a job, by training it many times.",
    SCORE: "Score rows with a run's model, and write the predictions.",
}
_CONFIG = {
    TUNE: "the search; docs/search-keys.md has every key",
    SCORE: "the scoring; docs/scoring-keys.md has every key",
}
_SET = {
    TUNE: "trials=20, say, or base.training.epochs=3, a key of its job",
    SCORE: "output.path=hdfs:///scores/today, say",
}
_RUN_ID = {
    TUNE: "the search's id, and its best run's; resumes that search, or prints its result if finished",
    SCORE: "the scoring's id; with output.mode: append resumes that scoring, or prints its result if finished",
}
_CHECK = {SCORE: "rehearse: score a few rows and show them, nothing kept"}


def arguments(program: str = "train.py") -> argparse.ArgumentParser:
    """Return the argument parser of jobs/train.py and programs like it, or of jobs/prepare.py, tune.py or score.py."""
    parser = _Parser(
        prog=program if program in _ABOUT else "train.py",
        description=_ABOUT.get(program, "Train a Keras model on rows that Spark prepares."),
    )
    config = _CONFIG.get(program, "the job; docs/configuration.md has every key")
    parser.add_argument("--config", required=True, metavar="YAML", help=config)
    example = _SET.get(program, "training.epochs=3, say")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=f"{example}; repeatable")
    parser.set_defaults(searches=program == TUNE, scores=program == SCORE)
    if program == PREPARE:
        parser.add_argument("--to", required=True, metavar="URL", help="the folder to create, such as hdfs:///prepared/may")
        parser.set_defaults(run_id=None, check=False)
    else:
        whose = _RUN_ID.get(program, "the run's id; resumes that run, or prints its result if finished")
        parser.add_argument("--run-id", metavar="ID", help=whose)
        check = _CHECK.get(program, "rehearse: one step on a few rows, nothing kept")
        parser.add_argument("--check", action="store_true", help=check)
        parser.set_defaults(to=None)
    parser.add_argument("--result", metavar="PATH", help="write the JSON line into a file, too")
    return parser


def load_job(options: argparse.Namespace) -> tuple[Job | ScoringJob, list[str]]:
    """Load the job that a command line names, and check everything that needs no Spark.

    Returns:
        The job, of a search that with the first value of each key; and the folders where its modules are looked up.

    Raises:
        ConfigError: the job can't work; the message has all problems.
    """
    check_run_id(options.run_id)
    if options.to is not None:
        check_name("--to", name_of(options))
    folders = search_folders(options.config)
    problems: list[Problem | None] = []
    job: Job | ScoringJob
    if options.scores:
        job = load_scoring(options.config, options.set)
    elif options.searches:
        search, base = load_search(options.config, options.set)
        job = check_space(search, base)
        folders = list(dict.fromkeys([*search_folders(base.source), *folders]))
        for prefix, function in (("model.args.", job.model.build), ("data.args.", job.data.preprocess)):
            problems += unknown_arguments(search.space, prefix, function, folders, "space.")
    else:
        job = load(options.config, options.set)
    # To only prepare rows, the rest of the user's code isn't needed
    only_rows = options.to is not None
    named = {"data.preprocess": job.data.preprocess} if only_rows else job.functions
    problems += [check_function(key, name, folders) for key, name in named.items() if name is not None]
    if not only_rows:
        if isinstance(job, Job):
            data_files(job.model.files, folders)
        problems += [check_module("model.modules", name, folders) for name in job.model.modules]
    if any(problems):
        raise ConfigError([problem for problem in problems if problem is not None], options.config)
    return job, folders


def name_of(options: argparse.Namespace) -> str:
    """Return the run's id, a new one if none was given, or, for a preparation, the name of the folder to create."""
    return posixpath.basename(options.to.rstrip("/")) if options.to is not None else options.run_id or new_run_id()
