"""Watches a run whose driver runs inside the cluster, by spark-submit's output and the storage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import IO

from sparktrain.display.result_line import tell
from sparktrain.known_messages.spark_submit import APPLICATION_SUBMITTED
from sparktrain.launcher.environment_package import spark_jars
from sparktrain.launcher.java import find_java
from sparktrain.runs.follow import tail
from sparktrain.runs.result import Result
from sparktrain.runs.snapshot import at_work, final_result
from sparktrain.storage import NotFound, StorageError, open_folder

_KILLING = 60.0  # seconds
_LOOK = 2.0  # seconds between checks for a run that has not started


class ClusterApplication:
    """A run whose driver runs inside the cluster (deploy mode `cluster`).

    Args:
        run: the run's id.
        output: the URL of the job's output.path.
    """

    def __init__(self, run: str, output: str) -> None:
        self.run, self._root = run, output
        self._application: str | None = None
        self._listener: threading.Thread | None = None
        self._ended = threading.Event()

    def listen(self, output: IO[bytes]) -> None:
        """Relay spark-submit's lines in a thread, and find the application's id in them."""
        self._listener = threading.Thread(target=self._pass_on, args=(output,), name="spark-submit-output", daemon=True)
        self._listener.start()
        threading.Thread(target=self._follow, name="run-log", daemon=True).start()

    def _pass_on(self, output: IO[bytes]) -> None:
        for line in output:
            text = line.decode(errors="replace").rstrip("\n")
            if self._application is None and (found := APPLICATION_SUBMITTED.find(text)):
                self._application = found[0]
            tell(text)

    def _follow(self) -> None:
        """Show the run's log while it grows, as in client mode."""
        while not self._ended.wait(_LOOK):
            try:
                tail(f"{self._root}/{self.run}", tell, tell, follow=True)
                return
            except NotFound:
                continue  # it has not started yet
            except StorageError as error:
                tell(f"the log of run {self.run} can't be read: {error}")
                return

    def stop(self) -> bool:
        """Ask YARN to end the application.

        Returns:
            Whether spark-submit ends with the application; if not, it has to be ended by itself.
        """
        application = self._application or self._of_run()
        return application is not None and _kill(application) and self._application is not None

    def _of_run(self) -> str | None:
        """Return the application's id from the run's claim: a cluster's log4j2.properties may hide spark-submit's line."""
        try:
            working = at_work(open_folder(self._root).at_once(), self.run)
        except StorageError as error:
            tell(f"can't tell whether run {self.run} has started ({error}); look for it with: yarn application -list")
            return None
        application = working.get("application") if working is not None else None
        if application is not None and not re.fullmatch(APPLICATION_SUBMITTED.pattern, application):
            tell(f"run {self.run} may still be running, as {application}: end it with your cluster manager's tools")
            return None
        return application

    def end(self) -> Result | None:
        """Return the run's result from the storage; None if there is none."""
        if self._listener is not None:
            self._listener.join(5)
        self._ended.set()
        try:
            return final_result(open_folder(self._root), self.run, self._application)
        except StorageError as error:
            tell(f"the result of run {self.run} can't be read from {self._root}: {error}")
            return None

    @property
    def where(self) -> str:
        """A hint where to look if the run left no result."""
        if self._application is None:
            return "it was not submitted: see spark-submit's own lines above"
        return f"there is no sign of its end at {self._root}/{self.run}; its log: yarn logs -applicationId {self._application}"


def _kill(application: str) -> bool:
    """Ask YARN to end an application.

    Returns:
        Whether YARN accepted; if not, the user gets a message.
    """
    conf = os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR", "")
    command = [
        find_java() or "java",
        "-cp",
        os.pathsep.join([conf, str(spark_jars() / "*")]),
        "org.apache.hadoop.yarn.client.cli.ApplicationCLI",
        "application",
        "-kill",
        application,
    ]
    tell(f"asking YARN to end {application} ...")
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=_KILLING, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        tell(f"{application} may still run ({error}); end it with: yarn application -kill {application}")
        return False
    return True
