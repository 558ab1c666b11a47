"""Checks the cluster that jobs/doctor.py is submitted to, and reports the findings as a table and as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.display.console import make_console, show_warnings
from sparktrain.display.launcher_link import announce, hand_over
from sparktrain.doctor.examination import Examination
from sparktrain.doctor.finding import Finding, exit_status, leave, table
from sparktrain.driver.failure_report import failed
from sparktrain.interfaces.engines import ENGINES
from sparktrain.launcher.signals import take_signals


def main(argv: Sequence[str] | None = None) -> int:
    """Check the cluster that this program was submitted to, and print the findings as a table and as JSON.

    Args:
        argv: the arguments of jobs/doctor.py; those of this process if left out.

    Returns:
        The exit status: 0 if nothing is bad, else 1.
    """
    parser = argparse.ArgumentParser(prog="doctor.py", description=__doc__.splitlines()[0])
    parser.add_argument("--output", metavar="URL", help="the folder for runs; test files in it are removed afterwards")
    parser.add_argument(
        "--workers", type=int, help="number of workers that average; default: 2, or 1 if the engine has one worker"
    )
    parser.add_argument("--engine", choices=tuple(ENGINES), default="horovod")
    parser.add_argument("--wait", type=float, default=120, metavar="SECONDS", help="how long to wait for executors; default: 120")
    parser.add_argument("--json", metavar="PATH", help="write the JSON report to this file instead of standard output")
    options = parser.parse_args(argv)
    workers = options.workers if options.workers is not None else 1 if ENGINES[options.engine].one_worker else 2
    if workers < 1:
        parser.error(f"--workers is {workers}; expected at least 1")
    announce()
    console = make_console()
    show_warnings()
    findings: list[Finding] = []
    facts: dict[str, Any] = {}
    spark = None
    try:
        take_signals()
        spark = SparkSession.builder.appName("sparktrain doctor").getOrCreate()
        take_signals()  # again, as Spark's own handler of Ctrl-C first asks the JVM, which got the signal, too, and may be gone
        examination = Examination(
            spark,
            options.output,
            workers,
            options.engine,
            options.wait,
            show=lambda text: console.print(text, markup=False, highlight=False),
        )
        findings, facts = examination.findings, examination.facts
        examination.run()
    except BaseException as error:  # Spark failed to start, or an interrupt: the findings so far are reported all the same
        result, details = failed(error, "doctor", None, 0)
        findings.append(Finding("the examination", result.reason or "", "bad", "run it again; see Spark's own log lines above"))
        facts["end"] = details
    try:
        if spark is not None:
            spark.stop()
    finally:
        console.print(table(findings, "sparktrain doctor"))
        line = leave(findings, facts, options.json)
        if not hand_over(line):
            print(line, flush=True)
    return exit_status(findings)
