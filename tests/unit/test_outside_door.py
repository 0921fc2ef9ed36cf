"""What is asked through a relay is answered as if asked over there, and a broken line is no answer."""

import json
import socket
import sqlite3
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from relays import relay

from virtlab import containers, seat
from virtlab.errors import Unknown
from virtlab.remote import door as doors
from virtlab.remote.door import Door
from virtlab.remote.seat import RemoteSeat, pools
from virtlab.seat import Seat


class Behind(RemoteSeat):
    """A seat at the other end of a door, with nothing else."""

    def __init__(self, door):
        Seat.__init__(self)
        self.door = door

    path = property(lambda self: self.door.path)
    connect = property(lambda self: self.door.connect)
    http = property(lambda self: seat._session(pools(self.door)))


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relay")
    with relay(folder / "own", folder) as one:
        yield one


@pytest.fixture
def both(door):
    """The same question, asked here and through the door."""
    return Seat(), Behind(door)


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() * 100_000)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def port():
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def shut():
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def test_pages(both, port, shut):
    for one in both:
        assert containers.page(one, f"http://localhost:{port}/x") == ("/x" * 100_000, "")
        assert containers.page(one, f"http://localhost:{shut}/") == (None, "'connection refused'")
        assert one.http.get(f"http://localhost:{port}/y").text == "/y" * 100_000
        with pytest.raises(requests.ConnectionError):
            one.http.get(f"http://localhost:{shut}/")


def test_a_server_that_says_nothing(both, monkeypatch):
    monkeypatch.setattr(containers, "PAGE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = silent.getsockname()[1]
        for one in both:
            assert containers.page(one, f"http://127.0.0.1:{where}/")[1].startswith("no answer within")
            with pytest.raises(requests.Timeout):
                one.http.get(f"http://127.0.0.1:{where}/", timeout=0.3)


def test_a_server_that_breaks_off(both):
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def answer():
            for _ in both:
                link, _ = rude.accept()
                link.recv(1000)
                link.close()

        threading.Thread(target=answer, daemon=True).start()
        for one in both:
            said = containers.page(one, f"http://127.0.0.1:{rude.getsockname()[1]}/")
            assert said == (None, "an answer that breaks off")


def test_connections(both, port, shut):
    for one in both:
        assert containers.connects(one, "127.0.0.1", port)
        assert not containers.connects(one, "127.0.0.1", shut)
        assert "127.0.0.1" in containers.own_addresses(one)
        with pytest.raises(socket.gaierror):
            one.connect("nobody.invalid", 80, 1)
    assert containers.own_addresses(both[0]) == containers.own_addresses(both[1])


def test_tls_is_spoken_from_here(both, port):
    for one in both:
        with pytest.raises(ssl.SSLError):  # that port has none
            one.talk("localhost", port, 2, ssl.create_default_context()).connect()


def test_files(both, tmp_path):
    folder = tmp_path / "work"
    (folder / "backups/old").mkdir(parents=True)
    for name in ("backup.sql", "Backup 2.gz", "backups/old/x", "other"):
        (folder / name).write_bytes(name.encode())
    (folder / "loop").symlink_to("nowhere")
    seen = []
    for one in both:
        work = one.path(folder)
        found = [each for top in work.glob("[Bb]ackup*") for each in (top, *top.rglob("*"))]
        seen.append(
            (
                sorted(str(each) for each in found if each.is_file()),
                sorted(str(each) for each in found if each.is_dir()),
                sorted(each.name for each in work.iterdir()),
                [(each.suffix, each.open("rb").read(), each.stat().st_mtime) for each in sorted(found)[:2]],
                (work / "other").read_text(), (work / "loop").exists(), (work / "none").is_file(),
                list((work / "none").glob("*")), list((work / "other").rglob("*")),
            )
        )  # fmt: skip
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == 3


@pytest.mark.parametrize("what", ["/nowhere", "/etc"])
def test_what_cannot_be_read_fails_in_the_same_way(both, what):
    errors = []
    for one in both:
        with pytest.raises(OSError, match="Errno") as caught:
            one.path(what).read_bytes()
        errors.append((type(caught.value), caught.value.errno))
    assert errors[0] == errors[1]


def test_what_the_kernel_says_has_no_size(both):
    table = "/proc/net/fib_trie"
    assert both[0].path(table).stat().st_size == 0
    assert both[1].path(table).read_text() == both[0].path(table).read_text()


def test_a_database_that_somebody_writes_to(door, tmp_path):
    file, copy = tmp_path / "one.sqlite3", tmp_path / "copy.sqlite3"
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (7)")
        db.commit()
        assert (tmp_path / "one.sqlite3-wal").stat().st_size
        copy.write_bytes(door.database(file))
    with sqlite3.connect(copy) as db:
        assert db.execute("SELECT x FROM t").fetchall() == [(7,)]
    with pytest.raises(FileNotFoundError):
        door.database(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_relay_that_is_gone_is_no_refusal(tmp_path, port):
    with relay(tmp_path / "own", tmp_path) as gone:
        link = gone.connect("127.0.0.1", port, 2)
        link.close()
    for ask in (lambda: gone.connect("127.0.0.1", port, 2), lambda: gone.read("/etc/passwd")):
        with pytest.raises(Unknown, match="broke off"):
            ask()
    with pytest.raises(Unknown):
        containers.connects(Behind(gone), "127.0.0.1", port)
    with pytest.raises(Unknown):
        containers.page(Behind(gone), f"http://127.0.0.1:{port}/")
    with pytest.raises(Unknown):
        Behind(gone).http.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "answer",
    [b"", b"no JSON\n", b"[]\n", b'{"is": 5}\nabc', b'{"is": 9000000000000}\nabc', b'{"is": null}\n',
     b'{"is": "x"}\n', b'{"error": 7}\n'],
)  # fmt: skip
def test_a_relay_that_lies_is_unknown(tmp_path, monkeypatch, answer):
    """Whoever has a seat is root in it."""
    monkeypatch.setattr(doors, "WAIT", 2)
    with socket.socket(socket.AF_UNIX) as liar:
        liar.bind(str(tmp_path / "door"))
        liar.listen()

        def lie():
            link, _ = liar.accept()
            with link:
                json.loads(link.makefile("rb", buffering=0).readline())
                link.sendall(answer)

        threading.Thread(target=lie, daemon=True).start()
        with pytest.raises(Unknown):
            Door(tmp_path / "door").read("/etc/passwd")


def test_words_of_a_seat_command_no_terminal():
    said = doors._error(["OSError", 5, "\x1b[2Jdisk\r\u202e I/O error"], "/x")
    assert str(said) == "[Errno 5] [2Jdisk I/O error: '/x'"
    assert isinstance(doors._error(["TimeoutError", None, "timed out"], None), TimeoutError)


def test_files_there_are_not_written_to(door, tmp_path):
    with pytest.raises(ValueError, match="reading"):
        door.path(tmp_path / "x").open("w")
    assert not isinstance(door.path("/x"), Path)
