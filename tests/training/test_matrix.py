"""Models as wide as users' come to what plain Keras comes to, with uneven workers, and broken off and gone on with.

Each in a process of its own: its workers are threads, and Keras's policies and seeds are the process's.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import runpy
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
MATRIX = Path(__file__).with_name("matrix.py")
_PATIENCE = 120  # seconds


def _module(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.mark.parametrize("case", _module("matrix").CASES)
def test_uneven_workers_and_an_attempt_that_goes_on_come_to_what_plain_keras_comes_to(case, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras"])  # which each process would import for itself
    heard, told = context.Pipe(duplex=False)
    given = {"GIVEN": (case, str(tmp_path), told)}
    process = context.Process(target=runpy.run_path, args=(str(MATRIX), given, "a test's process"))
    process.start()
    told.close()
    try:
        assert heard.poll(_PATIENCE), "it hangs"
        error = heard.recv()
    finally:
        process.kill()
        process.join()
    assert error is None, error
