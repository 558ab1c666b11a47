"""Each message of another program is recognised as that program writes it, and taken for no other one of its."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import sparktrain.known_messages
from sparktrain.known_messages import hdfs, java, spark
from sparktrain.known_messages.known_message import KnownMessage, line_with

TABLES = {
    module.name: {
        name: value
        for name, value in vars(importlib.import_module(f"sparktrain.known_messages.{module.name}")).items()
        if isinstance(value, KnownMessage)
    }
    for module in pkgutil.iter_modules(sparktrain.known_messages.__path__)
    if module.name != "known_message"
}


def test_every_program_has_a_table():
    assert all(TABLES.values()) and {"spark", "yarn", "hdfs", "java", "python"} <= TABLES.keys()


@pytest.mark.parametrize("program, name", [(program, name) for program, table in TABLES.items() for name in table])
def test_a_message_is_recognised_and_taken_for_no_other(program, name):
    table = TABLES[program]
    example = table[name].example
    assert [other for other, entry in table.items() if entry.find(example)] == [name]
    assert all(group for match in table[name].find_all(example) for group in match.groups())


@pytest.mark.parametrize("entry", [entry for table in TABLES.values() for entry in table.values()])
def test_a_message_says_what_it_means_and_which_version_wrote_it(entry):
    assert any(character.isdigit() for character in entry.seen) and entry.means.endswith(".")


@pytest.mark.parametrize(
    "entry, groups",
    [
        (spark.FILE_UNREADABLE, ("file:///rows/damaged.parquet",)),
        (spark.RECORD_MALFORMED, ("Malformed records are detected in record parsing: [null,null]",)),
        (
            spark.PYTHON_VERSION_DIFFERS,
            (
                "Python in worker has different version: 3.10 than that in driver: 3.11, PySpark cannot run with different minor "
                "versions",
            ),
        ),
        (hdfs.FILE_STATUS, ("hdfs://localhost:8020/rows/part-0.parquet", "4711", "1764000000000")),
        (hdfs.RPC_ERROR, ("StandbyException", "Operation category READ is not supported in state standby.")),
        (hdfs.NO_TICKET, ("No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_0)",)),
        (java.VERSION, ("17",)),
    ],
)
def test_what_a_message_names_is_read_from_it(entry, groups):
    assert entry.find(entry.example).groups() == groups


def test_the_line_that_says_why_is_found_among_others():
    text = f"Job aborted due to stage failure.\n  {spark.EXECUTOR_LOST.example}\nDriver stacktrace:"
    assert line_with([spark.EXECUTOR_LOST], text) == spark.EXECUTOR_LOST.example
    assert line_with([spark.WORKER_LOST], text) is None
