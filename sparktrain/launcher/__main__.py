"""Starts the launcher, with handlers that also catch a signal that arrives while its modules load.

    python -P -m sparktrain.launcher ROOT WITHOUT_HOROVOD ARGUMENT...

See `sparktrain.launcher.submit`.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from sparktrain.launcher.signals import STOPS, on_stop


class _Stopped(BaseException):
    """Raised when a signal arrives."""


def main(argv: Sequence[str]) -> int:
    """Run the launcher; see `sparktrain.launcher.submit.main`."""
    came: list[int] = []

    def stop(number: int, _: object) -> NoReturn:
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)  # the first is enough
        came.append(number)
        raise _Stopped

    try:
        on_stop(stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)  # spark-submit.sh has them wait until here
        from sparktrain.launcher import submit

        return submit.main(argv)
    except _Stopped:
        from sparktrain.launcher import submit

        return submit.stopped(argv, came[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
