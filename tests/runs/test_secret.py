"""The secret that lets a task into a run's control channel stays between the driver and its tasks."""

from __future__ import annotations

import base64
import secrets
import threading
from pathlib import Path

import psutil
import pytest

import sparktrain
from sparktrain.cluster import stage

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]


class Looked:
    """Collects what any user of this machine's `ps` sees, and the environments, while a run is at work."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closed.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._closed.wait(0.5):
            for process in psutil.process_iter():
                try:
                    self.seen.update(process.cmdline())
                    self.seen.update(process.environ().values())
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue   # ended meanwhile


def test_it_is_in_no_command_line_no_environment_no_log_and_no_file_of_the_run(frame, small, tmp_path, monkeypatch, capfd):
    made: list[bytes] = []

    def token_bytes(size: int) -> bytes:
        made.append(secrets.token_bytes(size))
        return made[-1]

    monkeypatch.setattr(stage, "secrets", type("Secrets", (), {"token_bytes": token_bytes, "token_hex": secrets.token_hex}))
    with Looked() as looked:
        sparktrain.train(frame, small.build_slow, features=["x"], label="number", engine="horovod", workers=2, epochs=1,
                         batch_size=16, run_id="mine", output=f"file://{tmp_path}/runs")
    [secret] = made
    assert len(secret) == 32 and "sparktrain.worker" in looked.seen
    forms = [secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]]
    said = capfd.readouterr()
    shown = "\n".join([*looked.seen, said.out, said.err])
    assert "epoch 1" in shown and not [form for form in forms if form in shown]
    files = [path for path in Path(tmp_path, "runs").rglob("*") if path.is_file()]
    assert {"job.yaml", "run.log", "summary.json"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert secret not in content and not [form for form in forms if form.encode() in content], path
