"""A run whose program runs on the cluster, as the launcher sees it: by spark-submit's output and the storage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import IO

from sparktrain.display.result_line import tell
from sparktrain.launcher.environment_package import spark_jars
from sparktrain.launcher.java import find_java
from sparktrain.runs.follow import tail
from sparktrain.runs.result import Result
from sparktrain.runs.snapshot import at_work, final_result
from sparktrain.storage import NotFound, StorageError, open_folder

_SUBMITTED = re.compile(r"\bapplication_\d+_\d+\b")
_KILLING = 60.0  # seconds
_LOOK = 2.0  # seconds between looks for a run that has not begun


class ClusterApplication:
    """One such run.

    Args:
        run: its id.
        output: the URL of the folder that it is made in.
    """

    def __init__(self, run: str, output: str) -> None:
        self.run, self._root = run, output
        self._application: str | None = None
        self._listener: threading.Thread | None = None
        self._ended = threading.Event()

    def listen(self, output: IO[bytes]) -> None:
        """Pass spark-submit's lines on, and learn from them which application it is."""
        self._listener = threading.Thread(target=self._pass_on, args=(output,), name="spark-submit-output", daemon=True)
        self._listener.start()
        threading.Thread(target=self._follow, name="run-log", daemon=True).start()

    def _pass_on(self, output: IO[bytes]) -> None:
        for line in output:
            text = line.decode(errors="replace").rstrip("\n")
            if self._application is None and (found := _SUBMITTED.search(text)):
                self._application = found[0]
            tell(text)

    def _follow(self) -> None:
        """Show the run's log as it comes, as a run beside the launcher shows its own."""
        while not self._ended.wait(_LOOK):
            try:
                tail(f"{self._root}/{self.run}", tell, tell, follow=True)
                return
            except NotFound:
                continue  # it has not begun yet
            except StorageError as error:
                tell(f"the log of run {self.run} can't be read: {error}")
                return

    def stop(self) -> bool:
        """Have the cluster end the application.

        Returns:
            Whether spark-submit has told of one that now ends, and it with that; else it is to be ended itself.
        """
        application = self._application or self._of_run()
        return application is not None and _kill(application) and self._application is not None

    def _of_run(self) -> str | None:
        """The application as the storage has it of a run that is at work: a cluster's own log4j2.properties may hide the line."""
        try:
            working = at_work(open_folder(self._root).at_once(), self.run)
        except StorageError as error:
            tell(f"it isn't known whether run {self.run} has begun ({error}); look for it by: yarn application -list")
            return None
        application = working.get("application") if working is not None else None
        if application is not None and not _SUBMITTED.fullmatch(application):
            tell(f"run {self.run} may still be at work, as {application}: end it by your cluster manager's own means")
            return None
        return application

    def end(self) -> Result | None:
        """How the run ended; None where it left no word of it."""
        if self._listener is not None:
            self._listener.join(5)
        self._ended.set()
        try:
            return final_result(open_folder(self._root), self.run, self._application)
        except StorageError as error:
            tell(f"how run {self.run} ended can't be read from {self._root}: {error}")
            return None

    @property
    def where(self) -> str:
        """Where to look for what it did not say."""
        if self._application is None:
            return "it was not submitted: spark-submit's own lines above say why"
        return f"there is no sign of its end at {self._root}/{self.run}; its log: yarn logs -applicationId {self._application}"


def _kill(application: str) -> bool:
    """Ask YARN to end an application.

    Returns:
        Whether it does; if not, the user has been told.
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
        tell(f"{application} may still run ({error}); end it by: yarn application -kill {application}")
        return False
    return True
