"""The secret that lets a task into a run's control channel stays between the driver and its tasks."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

import psutil
import pytest

import sparktrain
from sparktrain.cluster import stage

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]


def visible() -> set[str]:
    """What any user of this machine's `ps` sees now, and the environments."""
    seen = set()
    for process in psutil.process_iter():
        try:
            seen.update(process.cmdline())
            seen.update(process.environ().values())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended meanwhile
    return seen


def test_it_is_in_no_command_line_no_environment_no_log_and_no_file_of_the_run(
    frame, small, tmp_path, monkeypatch, capfd, meanwhile
):
    made: list[bytes] = []
    seen: set[str] = set()

    def token_bytes(size: int) -> bytes:
        made.append(secrets.token_bytes(size))
        return made[-1]

    monkeypatch.setattr(stage, "secrets", type("Secrets", (), {"token_bytes": token_bytes, "token_hex": secrets.token_hex}))
    with meanwhile(lambda: seen.update(visible()), every=0.5):
        sparktrain.train(
            frame,
            small.build_slow,
            features=["x"],
            label="number",
            engine="horovod",
            workers=2,
            epochs=1,
            batch_size=16,
            run_id="mine",
            output=f"file://{tmp_path}/runs",
        )
    [secret] = made
    assert len(secret) == 32 and "sparktrain.template" in seen
    forms = [secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]]
    said = capfd.readouterr()
    shown = "\n".join([*seen, said.out, said.err])
    assert "epoch 1" in shown and not [form for form in forms if form in shown]
    files = [path for path in Path(tmp_path, "runs").rglob("*") if path.is_file()]
    assert {"job.yaml", "run.log", "summary.json"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert secret not in content and not [form for form in forms if form.encode() in content], path
