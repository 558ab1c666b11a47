"""The control channel: what tasks tell arrives, gathers complete, strangers get nothing, every end is noticed."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

import pytest

from sparktrain.cluster.channel import server as channel
from sparktrain.cluster.channel.client import Client, Stopped, tell_absent
from sparktrain.cluster.channel.server import Server
from sparktrain.cluster.channel.wire import LineTooLong, Wire
from sparktrain.feed import Filled, agree_through
from sparktrain.interfaces.messages import Log, Phase

SECRET = b"a secret of the run"


class Driver:
    """A server and what it was told."""

    def __init__(self, parts: int) -> None:
        self.messages: list = []
        self.lost: list[int] = []
        self.reasons: list[str | None] = []
        self.absent: list[int] = []
        hear = lambda part, message: self.messages.append((part, message))  # noqa: E731
        self.server = Server(parts, SECRET, hear, self._lose, "127.0.0.1", on_absent=self.absent.append)

    def _lose(self, part: int, why: str | None) -> None:
        self.lost.append(part)
        self.reasons.append(why)

    def client(self, part: int, on_stop=lambda reason: None, secret: bytes = SECRET, on_end_epoch=lambda reason: None) -> Client:
        return Client(("127.0.0.1", self.server.port), secret, part, f"host-{part}", on_stop, on_end_epoch)


@pytest.fixture
def driver():
    before = set(threading.enumerate())
    made: list[Driver] = []

    def make(parts: int) -> Driver:
        made.append(Driver(parts))
        return made[-1]

    yield make
    for one in made:
        one.server.close()
    until(lambda: set(threading.enumerate()) <= before, "no thread is left behind")


def until(condition, what: str, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def test_messages_arrive_in_order_with_their_part(driver):
    one = driver(2)
    clients = [one.client(part) for part in range(2)]
    for number in range(50):
        clients[1].send(Log(str(number)))
    clients[0].send(Phase("fill"))
    until(lambda: len(one.messages) == 51, "all messages")
    assert [m.text for part, m in one.messages if part == 1] == [str(n) for n in range(50)]
    assert [m for part, m in one.messages if part == 0] == [Phase("fill")]
    for client in clients:
        client.close()
    time.sleep(0.1)
    assert one.lost == [], "a goodbye is no loss"


def test_a_task_without_a_part_says_so_and_is_none_of_the_workers(driver):
    one = driver(1)
    tell_absent(("127.0.0.1", one.server.port), SECRET, 7)
    until(lambda: one.absent == [7], "the driver knows")
    client = one.client(0)
    assert client.gather("mine") == ["mine"] and list(one.server.hosts) == [0]
    client.close()


def test_a_gather_hands_every_value_to_every_part_in_order(driver):
    one = driver(3)
    clients = [one.client(part) for part in (2, 0, 1)]
    with ThreadPoolExecutor(3) as pool:
        for turn in range(3):
            values = [f"{turn}-{part}" for part in range(3)]
            asked = [pool.submit(client.gather, f"{turn}-{part}") for client, part in zip(clients, (2, 0, 1))]
            assert [each.result(timeout=5) for each in asked] == [values] * 3
    for client in clients:
        client.close()


def test_a_moment_of_the_drivers_clock_is_understood_where_the_own_clock_is_another(driver, monkeypatch):
    class Ahead:
        """The driver's clock: an hour ahead of a task's."""

        monotonic, time = time.monotonic, staticmethod(lambda: time.time() + 3600)

    one = driver(1)
    client = one.client(0)
    monkeypatch.setattr(channel, "time", Ahead)
    before = time.monotonic()
    client.gather("x")
    took = time.monotonic() - before
    assert abs(client.by_monotonic_clock(Ahead.time() + 60) - (time.monotonic() + 60)) <= took + 0.1
    client.close()


def test_the_end_of_an_epoch_is_asked_of_every_task_also_of_one_that_comes_late_and_ends_none(driver):
    one = driver(2)
    stops, heard = [], []
    early = one.client(0, stops.append, on_end_epoch=lambda reason: heard.append(("early", reason)))
    until(lambda: 0 in one.server.hosts, "the first task is known")
    one.server.end_epoch("asked by someone")
    until(lambda: heard == [("early", "asked by someone")], "the first task was asked")
    late = one.client(1, stops.append, on_end_epoch=lambda reason: heard.append(("late", reason)))
    until(lambda: len(heard) == 2, "the second task was asked, too")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(early.gather, "a")
        assert late.gather("b") == asked.result(timeout=5) == ["a", "b"] and not stops
    one.server.stop("enough")
    until(lambda: stops == ["enough"] * 2, "a stop still comes")
    early.close()
    late.close()


def test_stop_reaches_every_task_also_one_that_waits_in_a_gather_and_one_that_comes_late(driver):
    one = driver(3)
    reasons: list[str] = []
    waiting = one.client(0, reasons.append)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(waiting.gather, "x")
        until(lambda: 0 in one.server.hosts, "the first task is known")
        one.server.stop("rank 1 failed")
        with pytest.raises(Stopped, match="rank 1 failed"):
            asked.result(timeout=5)
    late = one.client(1, reasons.append)
    until(lambda: reasons == ["rank 1 failed"] * 2, "both were stopped")
    waiting.close()
    late.close()


def test_a_task_that_vanishes_is_told_as_lost_and_a_driver_that_vanishes_stops_the_task(driver):
    one = driver(2)
    reasons: list[str] = []
    vanishing, _staying = one.client(0), one.client(1, reasons.append)
    until(lambda: len(one.server.hosts) == 2, "both are known")
    with socket.socket(fileno=socket.dup(vanishing._wire.connection.fileno())) as raw:
        raw.shutdown(socket.SHUT_RDWR)
    until(lambda: one.lost == [0], "the loss is told")
    one.server.close()
    until(lambda: reasons == ["the driver is gone"], "the other task is stopped")


def test_a_stranger_gets_nothing_and_holds_up_nobody(driver):
    one = driver(1)
    silent = socket.create_connection(("127.0.0.1", one.server.port))
    from multiprocessing import AuthenticationError

    with pytest.raises((AuthenticationError, EOFError, OSError)):
        one.client(0, secret=b"a guess")
    client = one.client(0)
    assert client.gather("mine") == ["mine"]
    assert one.messages == []
    silent.close()
    client.close()


def test_a_driver_that_does_not_answer_holds_no_task_for_ever(monkeypatch):
    monkeypatch.setattr("sparktrain.cluster.channel.wire.HANDSHAKE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(OSError):
            Client(silent.getsockname(), SECRET, 0, "host", lambda reason: None)
        assert time.monotonic() - begun < 5


def test_a_part_that_is_there_cannot_be_taken_over(driver):
    one = driver(1)
    first = one.client(0)
    until(lambda: 0 in one.server.hosts, "the first is known")
    reasons: list[str] = []
    one.client(0, reasons.append)
    until(lambda: reasons == ["the driver is gone"], "the second is turned away")
    assert first.gather("still") == ["still"]
    first.close()


def test_a_task_that_is_frozen_keeps_no_other_from_being_told_to_stop(driver, monkeypatch):
    """It takes nothing of the answer to a large gather; the driver goes on, and after a while counts it as lost."""
    monkeypatch.setattr("sparktrain.cluster.channel.wire.HOST_SECONDS", 2.0)
    one = driver(2)
    frozen = socket.create_connection(("127.0.0.1", one.server.port))
    as_client = Connection(frozen.detach())
    answer_challenge(as_client, SECRET)
    deliver_challenge(as_client, SECRET)
    as_client.send_bytes(json.dumps({"kind": "hello", "part": 0, "host": "frozen"}).encode())
    as_client.send_bytes(json.dumps({"kind": "gather", "turn": 1, "value": "x" * 12_000_000}).encode())
    reasons: list[str] = []
    other = one.client(1, reasons.append)
    assert len(other.gather("x" * 12_000_000)) == 2, "the other has its answer"
    begun = time.monotonic()
    one.server.stop("a worker is stalled")
    assert time.monotonic() - begun < 1, "stopping waits for nobody"
    until(lambda: reasons == ["a worker is stalled"], "the other is told to stop")
    until(lambda: one.lost == [0], "the frozen one counts as lost", 30)
    assert one.reasons == ["it, or its host, has answered nothing for 2 s"]
    other.close()
    as_client.close()


def test_a_line_that_is_too_long_is_told_as_that_and_never_as_the_end_of_the_driver(driver, monkeypatch):
    monkeypatch.setattr("sparktrain.cluster.channel.wire.LARGEST_LINE", 1_000_000)
    one = driver(2)
    reasons: list[str] = []
    first, second = one.client(0, reasons.append), one.client(1, reasons.append)
    with pytest.raises(LineTooLong, match="what this worker tells the others is 2 MB long.*at most 1 MB.*in files"):
        first.gather("x" * 2_000_000)
    first.send(Log("x" * 2_000_000))
    until(lambda: len(one.messages) == 1, "the long message is told")
    part, told = one.messages.pop()
    assert (part, told.cause, told.error) == (0, "code", "LineTooLong") and "message Log is 2 MB long" in told.message
    first._turn = 0  # a gather of which every value is short enough, and the answer is not
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(client.gather, "x" * 600_000) for client in (first, second)]
        until(lambda: len(one.messages) == 1, "the long answer is told")
        assert "what 2 workers tell each other is 1 MB long" in one.messages[0][1].message
        one.server.stop("it was too long")
        for each in asked:
            with pytest.raises(Stopped, match="it was too long"):
                each.result(timeout=5)
    until(lambda: reasons == ["it was too long"] * 2, "both were stopped")
    assert one.lost == []
    first.close()
    second.close()


@pytest.mark.real
@pytest.mark.slow
def test_250_workers_agree_on_10_000_columns_with_little_traffic(driver, monkeypatch):
    """What half a megabyte of columns are goes over the wire once a worker, and only as one part is without rows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    columns = [{"column": f"feature_{i:05d}", "shape": [], "dtype": "float32"} for i in range(10_000)]
    full = Filled(
        {"x": {"shape": [10_000], "dtype": "float32", "columns": columns}},
        {"column": "y", "shape": [], "dtype": "int32"},
        [0.0, 1.0],
        {},
        [[0, 10], [1, 10]],
        False,
        [100_000] * 40,
        [10_000] * 4,
        [0] * 40,
        [0] * 4,
        5_000_000_000,
    )
    empty = Filled(None, None, None, {}, [], False, [], [], [], [], 0)
    sent = [0]
    send = Wire.send
    monkeypatch.setattr(Wire, "send", lambda wire, line: (sent.__setitem__(0, sent[0] + len(line)), send(wire, line))[1])
    # Workers have hosts of their own. In one process, 250 threads that all compute spend a busy machine's time on taking
    # turns, so here one computes at a time, and those that wait for the others' values let go.
    turn = threading.Lock()

    def agree_in_turn(part: int) -> dict:
        def gather(value: str) -> list[str]:
            turn.release()
            try:
                return clients[part].gather(value)
            finally:
                turn.acquire()

        with turn:
            return agree_through(gather, part, full if part else empty)

    one = driver(250)
    with ThreadPoolExecutor(250) as pool:
        clients = list(pool.map(one.client, range(250)))
        agreed = list(pool.map(agree_in_turn, range(250)))
        list(pool.map(Client.close, clients))
    assert all(each == agreed[0] for each in agreed)
    assert agreed[0]["inputs"] == {"x": {"shape": [10_000], "dtype": "float32"}}
    assert agreed[0]["counts"] == [0] + [4_000_000] * 249
    assert sent[0] < 37.5e6, "every worker's columns to every worker would be 39 GB"
    assert one.lost == []


_DEAD_HOST = """
import fcntl, socket, struct, sys, threading, time
from sparktrain.cluster.channel import client as channel_client, server as channel, wire
wire.HOST_SECONDS = 3.0
from sparktrain.interfaces.messages import Alive

def loopback(up):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", up))   # SIOCSIFFLAGS

loopback(1)
lost, stopped = [], []
server = channel.Server(1, b"s", lambda *_: None, lambda part, why: lost.append(why), "127.0.0.1")
client = channel_client.Client(("127.0.0.1", server.port), b"s", 0, "h", stopped.append)
talks = sys.argv[1] == "talks"
def signs():
    while talks:
        client.send(Alive())
        time.sleep(0.1)
threading.Thread(target=signs, daemon=True).start()
time.sleep(5)
print("before", lost, stopped)
loopback(0)   # no packet arrives any more, and nothing says so
begun = time.monotonic()
while not (lost and stopped) and time.monotonic() - begun < 60:
    time.sleep(0.1)
print("after", lost, stopped)
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0,
    reason="a network of one's own needs Linux's user namespaces",
)
@pytest.mark.failures
@pytest.mark.parametrize("client", ["talks", "is silent"])
def test_a_host_that_dies_without_a_word_is_noticed_on_both_ends(client, note_failure):
    """In a network of its own whose only interface goes down."""
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", _DEAD_HOST, client], capture_output=True, text=True, timeout=120
    )
    before, after = done.stdout.splitlines()
    assert before == "before [] []"
    assert "it, or its host, has answered nothing" in after.split("]")[0], done.stdout + done.stderr
    assert "the driver is gone" in after.split("]")[1]
    note_failure(
        "A host that is cut off or switched off: a worker's",
        "the attempt ends after 60 s without an answer; training goes on from the last checkpoint",
    )
    note_failure("A host that is cut off or switched off: the driver's", "every worker ends itself after 60 s without an answer")


def test_a_driver_that_is_stopped_and_takes_nothing_keeps_its_workers(driver, monkeypatch):
    """A person may stop it for a while: its host goes on to answer."""
    monkeypatch.setattr("sparktrain.cluster.channel.wire.HOST_SECONDS", 1.0)
    held = threading.Event()
    reasons: list[str] = []
    server = Server(1, SECRET, lambda part, message: held.wait(30), lambda part, why: None, "127.0.0.1")
    client = Client(("127.0.0.1", server.port), SECRET, 0, "h", reasons.append)
    sender = threading.Thread(target=lambda: [client.send(Log("x" * 1_000_000)) for _ in range(60)])
    sender.start()
    time.sleep(4)
    assert reasons == []
    assert sender.is_alive(), "all that the kernels hold is full"
    held.set()
    sender.join(timeout=10)
    assert client.gather("still") == ["still"]
    client.close()
    server.close()
