"""The folder of runs without `output.path`."""

from __future__ import annotations

import os
import stat

import pytest

from sparktrain.driver.scratch import _made_on_this_machine


def test_a_scratch_folder_is_the_users_alone_also_where_it_was_open_before(tmp_path):
    folder = tmp_path / "sparktrain-me"
    assert _made_on_this_machine(str(folder)) is None and stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert _made_on_this_machine(str(folder)) is None and stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_a_scratch_folder_that_another_user_has_made_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, -1)
    assert "12345" in _made_on_this_machine(str(tmp_path / "theirs"))
    (tmp_path / "link").symlink_to(tmp_path)
    assert _made_on_this_machine(str(tmp_path / "link")) is not None
