"""Which ports a sandbox takes."""

from __future__ import annotations

import socket

from sparktrain.sandbox import ports


def test_a_restart_has_its_ports_again():
    wanted = {"namenode": ("rpc", "http"), "datanode-1": ("http",)}
    first = ports.choose(wanted, {})
    assert ports.choose(wanted, first) == first
    assert len({port for own in first.values() for port in own.values()}) == 3


def test_a_port_that_another_program_has_taken_meanwhile_is_replaced():
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        kept = {"namenode": {"rpc": taken}}
        assert ports.choose({"namenode": ("rpc",)}, kept)["namenode"]["rpc"] != taken


def test_one_port_is_never_given_to_two_daemons():
    first = ports.choose({"one": ("http",)}, {})["one"]["http"]
    chosen = ports.choose({"one": ("http",), "two": ("http",)}, {"one": {"http": first}, "two": {"http": first}})
    assert chosen["one"]["http"] == first != chosen["two"]["http"]
