"""daemon: a small web server of the test's own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from converge import Converged, converge

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
URL = f"http://127.0.0.1:{PORT}/"
SERVER = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(PORT)]
SYSTEMD = Path("/run/systemd/system").is_dir()

pytestmark = pytest.mark.host


def run(state: Path, *more: str, **changes: object) -> Converged:
    return converge(
        "daemon",
        {
            "virtlab_state_dir": str(state),
            "daemon_name": "daemon-test",
            "daemon_user": "nobody",
            "daemon_command": SERVER,
            "daemon_chdir": "/usr/share/common-licenses",
            "daemon_environment": {"PLAIN": "1", "SECRET": 'a "b" c'},
            "daemon_ready": [URL],
            "daemon_timeout": 15,
            **changes,
        },
        *more,
    )


def answers() -> bool:
    try:
        return requests.get(URL, timeout=2).ok
    except requests.ConnectionError:
        return False


def process() -> Path:
    """The server's folder in /proc, found by the port in its command line."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        words = entry.read_bytes().decode(errors="replace").split("\0")
        if "http.server" in words and str(PORT) in words:
            return entry.parent
    raise AssertionError("the server does not run")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    tmp_path.chmod(0o755)
    yield tmp_path
    assert run(tmp_path, daemon_state="absent").ok
    assert not answers()


def test_check_converge_again_undo(state: Path) -> None:
    assert run(state, "--check").changed == 1
    assert not answers()

    assert run(state).changed >= 1
    assert "GPL-3" in requests.get(URL, timeout=2).text, "it serves the folder it was to start in"
    server = process()
    assert server.stat().st_uid != 0
    environment = (server / "environ").read_bytes().decode().split("\0")
    assert 'SECRET=a "b" c' in environment
    assert b"SECRET" not in (server / "cmdline").read_bytes()

    assert run(state).changed == 0
    assert process() == server

    assert run(state, daemon_state="restarted").changed >= 1
    assert process() != server
    assert answers()

    assert run(state, daemon_state="absent").changed >= 1
    assert not answers()
    assert run(state, daemon_state="absent").changed == 0


def test_killed_it_starts_again_whatever_its_pid_file_says(state: Path) -> None:
    assert run(state).ok
    pid = int(process().name)
    os.kill(pid, signal.SIGKILL)
    if not SYSTEMD:
        time.sleep(0.2)
        assert not answers()
        # the worst stale pid file names a process that lives and is somebody else's
        Path("/run/virtlab/daemon-test.pid").write_text(f"{os.getpid()}\n")
    assert run(state).ok
    assert answers()


@pytest.mark.skipif(SYSTEMD, reason="systemd knows its processes without a pid file")
def test_it_is_known_without_its_pid_file(state: Path) -> None:
    assert run(state).ok
    Path("/run/virtlab/daemon-test.pid").unlink()
    assert run(state, daemon_state="absent").changed >= 1
    assert not answers()


@pytest.mark.skipif(SYSTEMD, reason="systemd owns its units; nobody else's program gets in between")
def test_what_somebody_else_started_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(SERVER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as theirs:
        while not answers():
            time.sleep(0.05)
        assert run(tmp_path).changed == 0
        assert run(tmp_path, daemon_state="absent").changed == 0
        assert theirs.poll() is None
        refused = run(tmp_path, daemon_state="restarted")
        assert not refused.ok
        assert "Restart it yourself" in refused.output
        theirs.terminate()


def test_a_program_that_ends_at_once_says_why(state: Path) -> None:
    failed = run(state, daemon_command=[sys.executable, "-c", "import os; print('no', *os.environ.values())"])
    assert not failed.ok
    if not SYSTEMD:
        assert "ended at once" in failed.output
        assert " 1" in failed.output, "a short value is no secret"
        assert 'a "b" c' not in failed.output


@pytest.mark.skipif(SYSTEMD, reason="it is about machines that only look as if they had systemd")
def test_a_linked_init_is_no_systemd(state: Path) -> None:
    assert run(state, ansible_facts={"service_mgr": "systemd"}).ok
    assert answers()
    assert not Path("/etc/systemd/system/daemon-test.service").exists()
