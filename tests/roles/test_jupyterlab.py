"""JupyterLab: a second instance, of another user, with a state, port and workspace of its own."""

import os
import pwd
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from virtlab import paths

ROOT = Path(__file__).resolve().parents[2]
NAME, PORT, USER = "jupyterlab-test", 8990, "virtlab-tester"
URL = f"http://127.0.0.1:{PORT}"

pytestmark = pytest.mark.host


class Second:
    """The second JupyterLab and what belongs to it."""

    def __init__(self, state: Path, home: Path) -> None:
        self.state, self.home = state, home
        self.folder, self.record = state / NAME, state / f"host.d/{NAME}.json"
        self.token = state / "secrets/jupyter_token"
        self.workspace = home / "virtlab"

    def converge(self, *more: str) -> dict[str, int]:
        """Run the role; the recap's counters."""
        variables = {"virtlab_state_dir": self.state, "virtlab_user": USER,
                     "jupyterlab_name": NAME, "jupyterlab_port": PORT}
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "tests/roles/jupyterlab.yml",
             *(word for name, value in variables.items() for word in ("-e", f"{name}={value}")), *more],
            cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        recap = done.stdout.partition("PLAY RECAP")[2]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}

    def undo(self) -> dict[str, int]:
        return self.converge("-e", "jupyterlab_state=absent")

    def get(self, path: str) -> requests.Response:
        """Ask as somebody who has the token."""
        token = {"Authorization": f"token {self.token.read_text()}"}
        return requests.get(f"{URL}{path}", headers=token, timeout=10)

    def process(self) -> Path:
        """The server's folder in /proc."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_text().split("\0")
            except OSError:
                continue
            if len(words) > 2 and words[1].endswith("/jupyter-lab") and f"/{NAME}/" in words[2]:
                return entry.parent
        raise AssertionError("JupyterLab does not run.")


@pytest.fixture(scope="module")
def second() -> Iterator[Second]:
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", "-G", "users", USER], check=True)
    with tempfile.TemporaryDirectory(prefix="virtlab-jupyter-", dir="/var/lib") as folder:
        Path(folder).chmod(0o755)
        one = Second(Path(folder), Path(pwd.getpwnam(USER).pw_dir))
        yield one
        one.undo()
    subprocess.run(["userdel", "--remove", USER], check=True, capture_output=True)


def test_check_mode_on_a_fresh_machine_makes_nothing(second):
    assert second.converge("--check")["changed"]
    assert not second.workspace.exists()
    assert not list(second.state.iterdir())


def test_it_answers_with_the_token_and_not_without(second):
    assert second.converge()["changed"]
    assert second.get("/api/contents").status_code == 200
    assert requests.get(f"{URL}/api/contents", timeout=10).status_code == 403
    assert requests.get(f"{URL}/api/contents?token=wrong", timeout=10).status_code == 403
    page = requests.get(f"{URL}/lab", timeout=10, allow_redirects=False)
    assert page.headers["Location"].startswith("/login")


def test_the_kits_part_is_in_it(second):
    labs = second.get("/virtlab/labs").json()["labs"]
    assert {one["lab"] for one in labs} >= {source.stem for source in paths.NOTEBOOKS.glob("*.ipynb")}
    assert requests.get(f"{URL}/virtlab/labs", timeout=10).status_code == 403
    assert second.get("/lab/extensions/virtlab/static/remoteEntry.js").status_code == 200
    assert '"name": "virtlab"' in second.get("/lab").text
    opened = requests.post(f"{URL}/virtlab/labs/05-container-networks/open", timeout=20,
                           headers={"Authorization": f"token {second.token.read_text()}"}).json()
    assert second.get(f"/api/contents/{opened['guide']}?content=0").status_code == 200


def test_only_this_machine_reaches_it(second):
    said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    with pytest.raises(OSError):
        socket.create_connection((said.stdout.split()[0], PORT), timeout=3)


def test_it_runs_as_the_labs_user_with_the_groups_that_user_has_now(second):
    status = (second.process() / "status").read_text()
    user = pwd.getpwnam(USER)
    assert re.search(rf"^Uid:\s+{user.pw_uid}\s", status, re.M)
    groups = set(map(int, re.search(r"^Groups:(.*)$", status, re.M)[1].split()))
    assert groups == set(os.getgrouplist(USER, user.pw_gid))
    assert len(groups) > 1


def test_the_token_is_nobody_elses(second):
    assert second.token.owner() == USER
    assert second.token.stat().st_mode & 0o777 == 0o600
    assert second.token.parent.stat().st_mode & 0o777 == 0o700
    token = second.token.read_text()
    assert len(token) >= 32
    requests.get(f"{URL}/lab?token={token}", timeout=10)        # a log might repeat it
    places = [*Path("/proc").glob("[0-9]*/cmdline"), second.process() / "environ",
              *Path("/var/log/virtlab").glob(f"{NAME}*"), *second.folder.rglob("*"), second.record]
    for place in places:
        try:
            said = place.read_bytes()
        except OSError:     # a folder, or a process that has ended meanwhile
            continue
        assert token.encode() not in said, place


def test_guides_are_released_into_the_workspace(second):
    released = {guide.parent.name for guide in second.workspace.glob("*/*.ipynb")}
    assert released == {source.stem for source in paths.NOTEBOOKS.glob("*.ipynb")}
    assert {path.owner() for path in [second.workspace, *second.workspace.rglob("*")]} == {USER}


def test_the_news_are_off_and_the_users_own_jupyter_is_left_alone(second):
    settings = second.get("/lab/api/settings/@jupyterlab/apputils-extension:notification").json()
    defaults = settings["schema"]["properties"]
    assert defaults["fetchNews"]["default"] == "false"
    assert defaults["checkForUpdates"]["default"] is False
    assert {".jupyter", ".ipython"}.isdisjoint(path.name for path in second.home.iterdir())
    assert not (second.home / ".local/share/jupyter").exists()


def test_a_second_run_changes_nothing(second):
    before = second.process()
    assert second.converge()["changed"] == 0
    assert second.process() == before


def test_killed_it_comes_back_with_the_same_token_and_the_learners_work(second):
    token = second.token.read_text()
    mine = [*second.workspace.glob("*/*.ipynb")][:1]
    for guide in mine:
        guide.write_text(guide.read_text().replace('"cells": [', '"cells":  ['))
    os.kill(int(second.process().name), 9)
    assert second.converge()["changed"] == 1
    assert second.token.read_text() == token
    assert second.get("/api/contents").status_code == 200
    assert all('"cells":  [' in guide.read_text() for guide in mine)


def test_a_taken_port_is_named_with_its_owner(second):
    os.kill(int(second.process().name), 9)
    with subprocess.Popen([sys.executable, "-m", "http.server", "-b", "127.0.0.1", str(PORT)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as owner:
        with pytest.raises(AssertionError) as failed:
            second.converge()
        owner.kill()
    assert f"pid={owner.pid}" in str(failed.value)
    assert "jupyterlab_port=8991" in str(failed.value)


def test_the_undo_leaves_only_the_learners_workspace(second):
    second.converge()
    (second.workspace / "mine.txt").write_text("my work")
    assert second.undo()["changed"]
    with pytest.raises(requests.ConnectionError):
        requests.get(URL, timeout=3)
    assert not second.token.exists()
    assert not second.folder.exists()
    assert not second.record.exists()
    assert not (second.home / ".local/share/virtlab/jupyter").exists()
    assert (second.workspace / "mine.txt").read_text() == "my work"
    assert second.undo()["changed"] == 0
