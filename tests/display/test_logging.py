"""What the package logs is a library's: silent unless the program asks for it; commands show warnings."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrain.display.console import show_warnings

ROOT = Path(__file__).resolve().parents[2]


def test_every_logger_is_named_by_its_module_and_none_is_the_root():
    wrong = []
    for file in sorted((ROOT / "sparktrain").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                *(f"logging.{level}" for level in ("debug", "info", "warning", "error", "exception", "critical", "log")),
                "logging.basicConfig",
            ):
                wrong.append(f"{file}:{node.lineno}")
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger":
                if ast.unparse(node.args[0]) not in ("__name__", "'sparktrain'"):
                    wrong.append(f"{file}:{node.lineno}")
    assert not wrong


def test_a_command_shows_warnings_once_and_nothing_below_them(capsys):
    logger = logging.getLogger("sparktrain")
    before = list(logger.handlers)
    try:
        show_warnings()
        show_warnings()
        logging.getLogger("sparktrain.cluster.any").warning("something is odd")
        logging.getLogger("sparktrain.cluster.any").info("something was done")
    finally:
        logger.handlers[:] = before
    assert capsys.readouterr().err == "something is odd\n"


@pytest.mark.real
def test_a_program_that_says_nothing_of_logging_sees_nothing():
    program = "import sparktrain, logging; logging.getLogger('sparktrain.cluster.any').warning('odd')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=180, check=True)
    assert done.stderr == ""
