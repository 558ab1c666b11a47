"""The launcher's side of its link to the program that spark-submit runs: see `sparktrain.display.launcher_link`."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

from sparktrain.display.launcher_link import socket_name


class ProgramLink:
    """The launcher's side of its link to the program: passes its streams on, and receives a process id and the JSON line.

    Args:
        folder: an empty folder for the socket, whose path the program finds in the environment variable VARIABLE.

    Attributes:
        announced: whether a program has announced itself, and so promised a JSON line.
        line: the JSON line that the program has sent; None if it hasn't.
    """

    def __init__(self, folder: str) -> None:
        self.announced = False
        self.line: str | None = None
        self._pid: int | None = None
        self._gone = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        with socket_name(folder) as name:
            self._socket.bind(name)
        self._socket.listen()
        threading.Thread(target=self._accept, name="handover", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The id of the program's process while it is running; else None."""
        return self._pid

    def wait(self, seconds: float) -> bool:
        """Wait for the program's end.

        Returns:
            Whether it has ended; True if there was none.
        """
        return self._pid is None or self._gone.wait(seconds)

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(connection,), name="handover-program", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Serve one connection; if a user's program starts several programs, the first that announces itself counts."""
        announced = False
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as messages:  # the program was killed
            socket.send_fds(connection, [b"\n"], [1, 2])
            for text in messages:
                message = json.loads(text)
                if "pid" in message and not self.announced:
                    announced = self.announced = True
                    self._pid = message["pid"]
                elif announced:
                    self.line = message["line"]
                else:
                    return  # its line goes to standard output
                connection.sendall(b"\n")
        if announced:
            self._pid = None
            self._gone.set()
