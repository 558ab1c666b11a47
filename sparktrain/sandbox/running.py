"""Finds the user's sandbox while it is up."""

from __future__ import annotations

from pathlib import Path

from sparktrain.sandbox.errors import SandboxError
from sparktrain.sandbox.home import Home


def running_conf() -> Path | None:
    """Return the folder for HADOOP_CONF_DIR of the user's default sandbox if all its processes serve; else None."""
    try:
        home = Home(Home.default())
        if home.state() is None:
            return None
        # Only here, as importing it would delay every start without a sandbox
        from sparktrain.sandbox.sandbox import Sandbox

        return home.conf if Sandbox(home.folder, detached=True).serves() else None
    except SandboxError:  # without a usable folder or Java no sandbox can be running
        return None
