"""The command `sparktrain`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import partial

import sparktrain

_PIPE_WIDTH = 240  # characters
_STILL_RUNNING = 124  # the exit status of a wait whose time is over, as of the shell's `timeout`


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `sparktrain` and return its exit status."""
    parser = argparse.ArgumentParser(prog="sparktrain", description=sparktrain.__doc__)
    parser.add_argument("--version", action="version", version=sparktrain.__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    config = commands.add_parser("config", help="what the YAML of a job, of a search or of a scoring may say")
    for name, form in (("--schema", "JSON Schema, for editors"), ("--reference", "Markdown, as in the documentation")):
        about = f"print the keys as {form}; of a job, if it isn't said of what"
        config.add_argument(name, nargs="?", const="job", choices=("job", "search", "scoring"), help=about)
    config.add_argument("--records", action="store_true", help="print the records that runs write as Markdown: docs/records.md")
    check = commands.add_parser("validate", help="check a job's command line without Spark", add_help=False, prefix_chars="\0")
    check.add_argument("arguments", nargs="*")
    starting = commands.add_parser("init", help="write a job, YAML and Python, for the rows at a path")
    starting.add_argument("path", help="the rows: a file or folder, such as hdfs:///data/flights or one on this machine")
    starting.add_argument("--label", required=True, metavar="COLUMN", help="the column to predict")
    starting.add_argument(
        "--engine", help="a value of training.engine; default: the first whose packages are installed, else single"
    )
    starting.add_argument(
        "--to", metavar="FOLDER/NAME", help="where to write NAME.yaml and NAME.py; default: the data's name, here"
    )
    starting.add_argument("--format", help="the files' format: parquet, orc, csv, json, avro or tfrecord; default: detected")
    packing = commands.add_parser("package", help="put the environment and Spark's jars on the storage, for clusters")
    packing.add_argument("--to", required=True, metavar="URL", help="a folder for packages, such as hdfs:///envs")
    doctor = commands.add_parser("doctor", help="check this machine and the storage; jobs/doctor.py checks the cluster")
    doctor.add_argument("--output", metavar="URL", help="the folder for runs; writing is tried, and nothing is left there")
    doctor.add_argument("--json", metavar="PATH", help="write the report to a file instead of standard output")
    exporting = commands.add_parser("export", help="write a run's model for serving, with its pipeline in front of it")
    exporting.add_argument("run", help="the finished run, output.path/RUN or output.path/latest")
    exporting.add_argument(
        "--to", required=True, metavar="DIR", help="the folder of the model's versions; this one is DIR/1, DIR/2 ..."
    )
    exporting.add_argument(
        "--format", default="savedmodel", help="savedmodel, for TensorFlow Serving; onnx; or keras. Default: savedmodel"
    )
    exporting.add_argument(
        "--leave-out",
        action="store_true",
        help="leave out the stages of the pipeline that the format can't have: their columns go in",
    )
    exporting.add_argument(
        "--rows", type=int, default=2000, help="how many rows of the run's source to compare with Spark's scores; default: 2000"
    )
    runs = commands.add_parser("runs", help="list, show, follow, wait for, stop, fetch or remove runs at a job's output.path")
    of_runs = runs.add_subparsers(dest="what", required=True)
    listing = of_runs.add_parser("list", help="list running runs, and those that have ended")
    listing.add_argument("output", help="the job's output.path, such as hdfs:///models/late-flights")
    listing.add_argument("--most", type=int, default=20, help="how many ended runs to show, the last first; default: 20")
    showing = of_runs.add_parser("show", help="show one run, with its lineage if it is finished")
    tailing = of_runs.add_parser("tail", help="print a run's log")
    stopping = of_runs.add_parser(
        "stop", help="ask a running run to stop at the end of its epoch, with the model of then, or at once"
    )
    waiting = of_runs.add_parser("wait", help="wait for a run's end, then print its JSON line")
    fetching = of_runs.add_parser("fetch", help="download a finished run, with its model.keras, to this machine")
    for each in (showing, tailing, waiting, fetching):
        each.add_argument("run", help="the run, output.path/RUN or output.path/latest")
    stopping.add_argument("run", help="the run, output.path/RUN")
    stopping.add_argument(
        "--now", action="store_true", help="end it at once, without a model; its checkpoints are kept, and it can be resumed"
    )
    waiting.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="how long to wait at most; exit status 124 if it is running still, else 0 if it is finished and 1 if it isn't",
    )
    tailing.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="follow the log until the run has ended, then print its JSON line; exit status 0 if it is finished, else 1",
    )
    fetching.add_argument("--to", metavar="DIR", help="the folder to create; default: the run's id, in the current folder")
    fetching.add_argument(
        "--only", metavar="NAME", help="fetch one file of the run, such as model.keras, into DIR or the current folder"
    )
    removing = of_runs.add_parser("remove", help="remove a run: a finished one, or what is left of one that ended early")
    removing.add_argument("run", help="the run, output.path/RUN")
    removing.add_argument("--yes", action="store_true", help="remove a finished run without asking")
    for each in (listing, showing):
        each.add_argument("--json", action="store_true", help="print JSON: a line for each run, or one object")
    options = parser.parse_args(argv)
    if options.command in ("doctor", "export", "init", "package", "runs"):
        use_running_sandbox()
    if options.command == "config":
        return _config(options, parser)
    if options.command == "init":
        return _init(options)
    if options.command == "package":
        return _package(options.to)
    if options.command == "export":
        return _export(options)
    if options.command == "doctor":
        return _doctor(options)
    return _runs(options) if options.command == "runs" else _validate(options.arguments)


def use_running_sandbox() -> None:
    """Let hdfs:///... mean the sandbox's HDFS while it is up, unless the user has a Hadoop; as spark-submit.sh does."""
    if any(os.environ.get(name) for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME")):
        return
    from sparktrain.sandbox.running import running_conf

    if (conf := running_conf()) is not None:
        os.environ["HADOOP_CONF_DIR"] = str(conf)


def _config(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from sparktrain.config import reference, schema

    if sum(map(bool, (options.schema, options.reference, options.records))) != 1:
        parser.error("config takes one of --schema, --reference and --records")
    if options.records:
        from sparktrain.runs.records.page import records_page

        print(records_page(), end="")
    elif options.schema:
        print(json.dumps(schema(options.schema), indent=2))
    else:
        print(reference(options.reference), end="")
    return 0


def _init(options: argparse.Namespace) -> int:
    from sparktrain.init.choices import InitError
    from sparktrain.init.command import init
    from sparktrain.storage import StorageError

    try:
        init(options.path, options.label, options.engine, options.to, options.format, partial(print, flush=True))
    except (InitError, StorageError, OSError) as error:
        print(f"sparktrain init: {error}", file=sys.stderr)
        return 2 if isinstance(error, InitError) else 1
    return 0


def _export(options: argparse.Namespace) -> int:
    from sparktrain.config import ConfigError
    from sparktrain.data import InputError
    from sparktrain.export import ExportError, export_run
    from sparktrain.storage import StorageError

    sys.path.insert(0, os.getcwd())  # where the user's modules are
    try:
        made = export_run(
            options.run,
            options.to,
            format=options.format,
            leave_out=options.leave_out,
            rows=options.rows,
            progress=lambda text: _warn(f"sparktrain: {text} ..."),
        )
    except (ConfigError, ExportError, InputError, StorageError, OSError) as error:
        _warn(f"sparktrain export: {error}")
        return 2 if isinstance(error, ConfigError) else 1
    print(made)
    return 0


def _package(to: str) -> int:
    from sparktrain.launcher.environment_package import package
    from sparktrain.storage import StorageError

    try:
        print(package(to, lambda text: print(f"sparktrain: {text}", file=sys.stderr, flush=True)))
    except (StorageError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from rich.console import Console

    from sparktrain.doctor.finding import exit_status, leave, table
    from sparktrain.doctor.local_checks import look_here

    findings, facts = look_here(options.output)
    Console(stderr=True).print(table(findings, "sparktrain doctor, without Spark"))
    print(leave(findings, facts, options.json))
    return exit_status(findings)


def _runs(options: argparse.Namespace) -> int:
    from rich.console import Console

    from sparktrain.display.tables import details, table
    from sparktrain.runs.fetching import fetch, remove
    from sparktrain.runs.listing import listed
    from sparktrain.runs.snapshot import find_run
    from sparktrain.runs.stopping import stop
    from sparktrain.storage import StorageError, open_folder

    # In a pipe or a file, lines are not wrapped to a terminal's width
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH)
    try:
        if options.what == "tail":
            return _tail(options)
        if options.what == "wait":
            return _wait(options)
        if options.what == "stop":
            print(stop(options.run, options.now, _warn), file=sys.stderr)
            return 0
        if options.what == "fetch":
            print(fetch(options.run, options.to, options.only))
            return 0
        if options.what == "remove":
            print(remove(options.run, lambda question: options.yes or _confirmed(question)), file=sys.stderr)
            return 0
        if options.what == "list":
            folder = open_folder(options.output)
            found = listed(folder, options.most)
            shown, plain = table(found, folder.url, console.width), "\n".join(map(json.dumps, found))
        else:
            shown, all_of_it = details(find_run(options.run))
            plain = json.dumps(all_of_it, indent=2)
    except (StorageError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(plain)
    else:
        console.print(shown)
    return 0


def _confirmed(question: str) -> bool:
    """Ask the question at the terminal and return whether the answer is yes; False without a terminal."""
    if not sys.stdin.isatty():
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tail(options: argparse.Namespace) -> int:
    from sparktrain.runs.follow import tail

    try:
        end = tail(options.run, partial(print, flush=True), _warn, options.follow)
    except KeyboardInterrupt:  # the user stops following
        return 130
    if end is None or not options.follow:
        return 0
    print(end.to_json(), flush=True)
    return 0 if end.status == "finished" else 1


def _wait(options: argparse.Namespace) -> int:
    from sparktrain.runs.follow import wait

    try:
        end = wait(options.run, _warn, options.timeout)
    except KeyboardInterrupt:  # the user stops waiting
        return 130
    if end is None:
        _warn(f"{options.run} is running still after {options.timeout:g} s (--timeout)")
        return _STILL_RUNNING
    print(end.to_json(), flush=True)
    return 0 if end.status == "finished" else 1


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _validate(argv: Sequence[str]) -> int:
    from sparktrain.display.next_command import training_command
    from sparktrain.launcher.job_arguments import arguments, load_job
    from sparktrain.launcher.refusal import refuse

    options = arguments().parse_args(argv)
    try:
        load_job(options)
    except Exception as error:
        return refuse(error, options)
    rehearsal = training_command([*argv, *([] if options.check else ["--check"])])
    print(f"No problem found without reading rows. To rehearse the job on a few rows: {rehearsal}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
