"""Make the Java that comes as a Python package start Spark, and trust whom the machine trusts.

Imported by install.py under the machine's Python: only the standard library is at hand.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import ssl
from pathlib import Path

NO_MODULE = "--add-modules=jdk.incubator.vector"
# Where systems keep the certificates of the authorities that they trust, as one PEM file: Debian, Fedora, macOS and Alpine.
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def write_launcher(launcher: Path, java: Path) -> None:
    """Write bin/java as Spark starts it.

    Spark asks every JVM for a module that this Java is linked without. Spark does without it: it is an incubator's, for faster
    linear algebra.

    Args:
        launcher: the file, made anew at once.
        java: the real one.
    """
    fresh = launcher.with_suffix(".new")
    fresh.write_text(
        f"#!/bin/sh\n# {java} is linked without the module that Spark asks every JVM for, and Spark does without it.\n"
        f'for word; do shift; if [ "$word" != {NO_MODULE} ]; then set -- "$@" "$word"; fi; done\n'
        f'exec {shlex.quote(str(java))} "$@"\n'
    )
    fresh.chmod(0o755)
    fresh.rename(launcher)


def trust_as_the_machine(runtime: Path) -> None:
    """Let Java trust the authorities that the machine trusts, a company's own among them, where they are to be found.

    Args:
        runtime: Java's folder, whose lib/security/cacerts has those that Java came with.
    """
    named = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *BUNDLES)
    for bundle in filter(None, named):
        try:
            text = Path(bundle).read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        found = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL)
        if found:
            store = runtime / "lib" / "security" / "cacerts"
            fresh = store.with_suffix(".new")
            fresh.write_bytes(key_store([ssl.PEM_cert_to_DER_cert(each) for each in found]))
            fresh.rename(store)
            return


def key_store(certificates: list[bytes]) -> bytes:
    """Return a file of Java's own format JKS, with the password that Java's stores of public certificates have.

    Args:
        certificates: in DER.
    """

    def text(word: str) -> bytes:
        return len(word).to_bytes(2, "big") + word.encode()

    content = 0xFEEDFEED.to_bytes(4, "big") + (2).to_bytes(4, "big") + len(certificates).to_bytes(4, "big")
    for number, certificate in enumerate(certificates):
        content += (2).to_bytes(4, "big") + text(f"authority-{number}") + (0).to_bytes(8, "big") + text("X.509")
        content += len(certificate).to_bytes(4, "big") + certificate
    return content + hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + content).digest()
