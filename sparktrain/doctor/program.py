"""The main program of jobs/doctor.py: examine the cluster it was submitted to, and report as a table and as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.display.console import make_console
from sparktrain.display.launcher_link import announce, hand_over
from sparktrain.doctor.examination import Examination
from sparktrain.doctor.finding import Finding, exit_status, leave, table
from sparktrain.driver.failure_report import failed
from sparktrain.interfaces.engines import ENGINES
from sparktrain.launcher.signals import take_signals


def main(argv: Sequence[str] | None = None) -> int:
    """Examine the cluster, run by spark-submit.

    Returns:
        The exit status: 0 if nothing is bad, else 1.
    """
    parser = argparse.ArgumentParser(prog="doctor.py", description=__doc__.splitlines()[0])
    parser.add_argument("--output", metavar="URL", help="where runs are to be written; tried, and left as it was")
    parser.add_argument("--workers", type=int, help="how many average with each other; default: 2")
    parser.add_argument("--engine", choices=tuple(ENGINES), default="horovod")
    parser.add_argument("--wait", type=float, default=120, metavar="SECONDS", help="for executors to come; default: 120")
    parser.add_argument("--json", metavar="PATH", help="write the report there, and not to standard output")
    options = parser.parse_args(argv)
    workers = options.workers if options.workers is not None else 1 if ENGINES[options.engine].one_worker else 2
    if workers < 1:
        parser.error(f"--workers is {workers}; expected at least 1")
    announce()
    console = make_console()
    findings: list[Finding] = []
    facts: dict[str, Any] = {}
    spark = None
    try:
        take_signals()
        spark = SparkSession.builder.appName("sparktrain doctor").getOrCreate()
        take_signals()  # Spark's own for Ctrl-C first asks the JVM, which got the same and may be gone
        examination = Examination(
            spark,
            options.output,
            workers,
            options.engine,
            options.wait,
            tell=lambda text: console.print(text, markup=False, highlight=False),
        )
        findings, facts = examination.findings, examination.facts
        examination.go()
    except BaseException as error:  # Spark that doesn't start, and a stop from outside: what was found is told all the same
        result, details = failed(error, "doctor", None, 0)
        findings.append(
            Finding("the examination", result.reason or "", "bad", "start it again; Spark's own lines above say more")
        )
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
