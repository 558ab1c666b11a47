"""What the workers of sparktrain.run return: the driver unpickles only what they have written."""

from __future__ import annotations

import hashlib
import pickle

import pytest

from sparktrain.driver.function_run import NotReturned, unpickled
from sparktrain.interfaces.messages import returned_name
from sparktrain.storage import open_folder

RUN: list[str] = []


def go_off() -> None:
    RUN.append("code")


class Explosive:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return go_off, ()


def test_what_a_worker_returned_is_read_by_its_digest(tmp_path):
    data = pickle.dumps({"auc": 0.5})
    (tmp_path / returned_name(1)).write_bytes(data)
    assert unpickled(open_folder(f"file://{tmp_path}"), 1, hashlib.sha256(data).hexdigest()) == {"auc": 0.5}


def test_a_file_that_somebody_has_exchanged_is_refused_and_nothing_of_it_runs(tmp_path):
    (tmp_path / returned_name(0)).write_bytes(pickle.dumps(Explosive()))
    with pytest.raises(NotReturned, match="returned-0.pickle is not what rank 0 has written there"):
        unpickled(open_folder(f"file://{tmp_path}"), 0, hashlib.sha256(b"another").hexdigest())
    assert RUN == []
