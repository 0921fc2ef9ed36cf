"""The hub's role: a hub of its own, with a state and ports of its own, and seats that are processes."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
NAME, PORT = "hub-test", 9443
URL = f"https://127.0.0.1:{PORT}"

pytestmark = pytest.mark.host


class Hub:
    def __init__(self, state: Path) -> None:
        self.state, self.folder, self.record = state, state / NAME, state / f"host.d/{NAME}.json"

    def converge(self, *more: str) -> dict[str, int]:
        """Run the role; the recap's counters."""
        variables = {
            "virtlab_state_dir": str(self.state), "hub_name": NAME, "hub_port": PORT,
            "hub_seat_port": 9081, "hub_board_port": 9082, "hub_proxy_port": 9083, "hub_spawner": "simple",
            "hub_students": [{"id": "ada", "name": "Ada Lovelace"}], "hub_title": {"en": "Test"},
        }  # fmt: skip
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "tests/roles/hub.yml",
             "-e", json.dumps(variables), *more],
            cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        recap = done.stdout.partition("PLAY RECAP")[2]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}

    def undo(self) -> dict[str, int]:
        return self.converge("-e", "hub_state=absent")

    def get(self, path: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"{URL}{path}", timeout=10, verify=str(self.state / "ca.crt"))

    def processes(self) -> dict[int, str]:
        """Whatever runs for this class."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                said = entry.read_bytes() + entry.with_name("cmdline").read_bytes()
                if str(self.folder).encode() in said:
                    found[int(entry.parent.name)] = entry.with_name("cmdline").read_text()
            except OSError:
                continue
        return found


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with tempfile.TemporaryDirectory(prefix="virtlab-hub-", dir="/var/lib") as folder:
        Path(folder).chmod(0o755)
        one = Hub(Path(folder))
        yield one
        one.undo()


def test_check_mode_on_a_fresh_machine_makes_nothing(hub):
    assert hub.converge("--check")["changed"]
    assert not list(hub.state.iterdir())


def test_it_answers_with_the_labs_own_certificate(hub):
    assert hub.converge()["changed"]
    page = hub.get("/hub/login")
    assert page.status_code == 200
    assert "Test" in page.text
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(URL, timeout=10, verify="/etc/ssl/certs/ca-certificates.crt")
    assert hub.get("/services/board/api/health").json() == {"is": "well"}


def test_names_and_keys_are_nobody_elses(hub):
    assert hub.folder.stat().st_mode & 0o777 == 0o700
    assert (hub.folder / "class.json").stat().st_mode & 0o777 == 0o600
    assert (hub.folder / "tls/server.key").stat().st_mode & 0o777 == 0o600
    assert "ada" not in hub.record.read_text().lower()


def test_a_second_run_changes_nothing(hub):
    before = set(hub.processes())
    assert hub.converge()["changed"] == 0
    assert set(hub.processes()) == before


def test_killed_it_comes_back_with_the_same_accounts(hub):
    key = (hub.folder / "accounts.key").read_bytes()
    runner = next(pid for pid, command in hub.processes().items() if "virtlab.classroom.run" in command)
    os.kill(runner, 9)
    assert hub.converge()["changed"] == 1
    assert (hub.folder / "accounts.key").read_bytes() == key
    assert hub.get("/hub/login").status_code == 200


def test_stopped_it_keeps_what_it_knows(hub):
    key = (hub.folder / "accounts.key").read_bytes()
    assert hub.converge("-e", "hub_state=stopped")["changed"]
    assert not hub.processes()
    assert hub.converge("-e", "hub_state=stopped")["changed"] == 0
    assert hub.converge()["changed"] == 1
    assert (hub.folder / "accounts.key").read_bytes() == key
    assert hub.get("/hub/login").status_code == 200


def test_a_new_student_is_let_in_after_the_next_run(hub):
    students = json.dumps({"hub_students": [{"id": "ada"}, {"id": "ming", "name": "李明"}]})
    assert hub.converge("-e", students)["changed"]
    said = json.loads((hub.folder / "class.json").read_text())
    assert [one["id"] for one in said["students"]] == ["ada", "ming"]


def test_the_undo_leaves_nothing(hub):
    assert hub.undo()["changed"]
    assert not hub.processes()
    for port in (PORT, 9081, 9082, 9083):
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=2)
    assert not hub.folder.exists()
    assert not hub.record.exists()
    assert not (hub.state / "ca.crt").exists()
    assert hub.undo()["changed"] == 0
