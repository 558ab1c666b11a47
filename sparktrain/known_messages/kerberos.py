"""What the programs of Kerberos print."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

PRINCIPAL = KnownMessage(
    r"(?i)principal: *(\S+)",
    "Ticket cache: FILE:/tmp/krb5cc_0\nDefault principal: eve@EXAMPLE.COM",
    "MIT Kerberos 1.20",
    "Whom the ticket is for, in the output of `klist`.",
)
