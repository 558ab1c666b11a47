"""The command `sparktrain`."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from typing import Sequence

import sparktrain


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sparktrain", description=sparktrain.__doc__)
    parser.add_argument("--version", action="version", version=sparktrain.__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    config = commands.add_parser("config", help="what a job's YAML may say")
    config.add_argument("--schema", action="store_true", help="as JSON Schema, for editors")
    config.add_argument("--reference", action="store_true", help="as Markdown: docs/configuration.md")
    check = commands.add_parser(
        "validate", help="check a job's command line without Spark", add_help=False, prefix_chars="\0"
    )
    check.add_argument("arguments", nargs="*")
    runs = commands.add_parser("runs", help="the runs at a job's output.path")
    of_runs = runs.add_subparsers(dest="what", required=True)
    listing = of_runs.add_parser("list", help="finished runs, and those at work")
    listing.add_argument("output", help="what output.path names, such as hdfs:///models/late-flights")
    listing.add_argument("--most", type=int, default=20, help="finished runs to show, the last first; default: 20")
    showing = of_runs.add_parser("show", help="one finished run, and where its model comes from")
    showing.add_argument("run", help="its folder, output.path/RUN or output.path/latest")
    for each in (listing, showing):
        each.add_argument("--json", action="store_true", help="as JSON: a line a run, or one object")
    options = parser.parse_args(argv)
    if options.command == "config":
        return _config(options, parser)
    return _runs(options) if options.command == "runs" else validate(options.arguments)


def _config(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from sparktrain.config import reference, schema

    if options.schema == options.reference:
        parser.error("config takes --schema or --reference")
    print(json.dumps(schema(), indent=2) if options.schema else reference(), end="\n" if options.schema else "")
    return 0


def _runs(options: argparse.Namespace) -> int:
    from rich.console import Console

    from sparktrain.driver.runs import details, listed, table
    from sparktrain.storage import StorageError, open_folder
    from sparktrain.storage.runs import resolve

    try:
        if options.what == "list":
            folder = open_folder(options.output)
            found = listed(folder, options.most)
            shown, plain = table(found, folder.url), "\n".join(map(json.dumps, found))
        else:
            shown, all_of_it = details(open_folder(resolve(options.run)))
            plain = json.dumps(all_of_it, indent=2)
    except StorageError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(plain)
    else:
        Console().print(shown)
    return 0


def validate(argv: Sequence[str], program: str = "train.py") -> int:
    """Check a job's command line without Spark, as the launcher does before it starts one.

    Args:
        argv: what the program is given.
        program: its file's name.

    Returns:
        0 for what can work, else the exit status, after the JSON line: 2 for what can't.
    """
    from sparktrain.config import ConfigError
    from sparktrain.driver.request import arguments, load_job, name_of
    from sparktrain.driver.result import Result, exit_status, say

    given = arguments(program).parse_args(argv)
    try:
        load_job(given)
        return 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        result = Result(run=name_of(given), status="refused", reason=str(error))
    except Exception as error:
        traceback.print_exc()
        result = Result(run=name_of(given), status="failed", reason=f"{type(error).__name__}: {error}")
    say(result, given.result)
    return exit_status(result)


if __name__ == "__main__":
    sys.exit(main())
