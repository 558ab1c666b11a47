"""Write docs/command-line.md from the parsers of the commands.

python docs/command_line.py
"""

from __future__ import annotations

import argparse
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "command-line.md"
_TEXT = """\
# Command line

Written by `python docs/command_line.py` from the parsers of the commands; a test keeps it in step.

Programs of `jobs/` are run by `./spark-submit.sh [spark-submit's options] jobs/PROGRAM.py …`, or by a plain `spark-submit` in an
environment that has the package. The exit status of `jobs/train.py`, `jobs/tune.py`, `jobs/prepare.py` and `jobs/score.py` is 0 only if
the model, the prepared rows or the scores are on the storage; 2 for a configuration that can't work; 1 otherwise. The command
`sparktrain` is in the environment (`.venv/bin/sparktrain`).
"""


class _Found(BaseException):
    """The parser that a command makes, thrown as the command is about to use it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(main: Callable[[], object]) -> argparse.ArgumentParser:
    """Return the parser that a command's main makes, without doing what the command does."""

    def parse_args(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Found(parser)

    with patch.object(argparse.ArgumentParser, "parse_args", parse_args):
        try:
            main()
        except _Found as found:
            return found.parser
    raise RuntimeError(f"{main} makes no parser")


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the commands: what is written at a shell, and its parser."""
    from sparktrain.cli.command import main as command
    from sparktrain.doctor.program import main as doctor
    from sparktrain.launcher.job_arguments import PREPARE, SCORE, TUNE, arguments
    from sparktrain.sandbox.__main__ import main as sandbox

    yield "jobs/train.py", arguments()
    yield "jobs/prepare.py", arguments(PREPARE)
    yield "jobs/score.py", arguments(SCORE)
    yield "jobs/tune.py", arguments(TUNE)
    yield "jobs/doctor.py", parser_of(doctor)
    yield "jobs/compare.py", parser_of(lambda: runpy.run_path(str(ROOT / "jobs" / "compare.py"))["main"]())
    yield "sparktrain", parser_of(command)
    yield "python -m sparktrain.sandbox", parser_of(sandbox)


def page() -> str:
    """Return the text of docs/command-line.md."""
    return "\n".join([_TEXT, *(line for name, parser in parsers() for line in section(name, parser, parser.description or ""))])


def section(name: str, parser: argparse.ArgumentParser, about: str) -> Iterator[str]:
    """Yield the lines on a command, and on the commands that it has."""
    yield from (f"## `{name}`", "", _sentence(about), "")
    others = (argparse._HelpAction, argparse._SubParsersAction)
    actions = [action for action in parser._actions if not isinstance(action, others)]
    if actions:
        yield from ("| argument | meaning | default |", "| --- | --- | --- |", *map(_row, actions), "")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for word, each in action.choices.items():
                yield from section(f"{name} {word}", each, helps.get(word, ""))


def _sentence(text: str) -> str:
    first = text[:1] if text.startswith("python ") else text[:1].upper()
    return f"{first}{text[1:].rstrip('.')}." if text else ""


def _row(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings or [action.metavar or action.dest])
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    value = action.metavar if isinstance(action.metavar, str) and action.option_strings else ""
    shown = f"{names} `{value}`" if value else names
    text = re.sub(r" ?\(default: %\(default\)\w+\)", "", action.help or "")
    meaning = "; ".join(part for part in (text, f"one of {choices}" if choices else "") if part)
    if action.required and action.option_strings:
        default = "required"
    elif action.default in (None, False, argparse.SUPPRESS, []) or not action.option_strings or "default: " in text:
        default = ""
    else:
        values = action.default if isinstance(action.default, list) else [action.default]
        default = f"`{' '.join(map(str, values))}`"
    return f"| {shown} | {meaning} | {default} |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
