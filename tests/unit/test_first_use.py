"""`./lab` in a fresh copy of the project: what it refuses, and that the next one mends a killed one."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from virtlab import paths

COMMUNITY = ("docker", "libvirt", "library_inventory_filtering_v1")
LOCKS = ("requirements.txt", "requirements-uv.txt", "requirements-collections.txt")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where a failed first use leaves its log

    def make(into: Path) -> Path:
        for name in ("lab", *LOCKS):
            shutil.copy(paths.ROOT / name, into / name)
        shutil.copytree(paths.ROOT / "src", into / "src", ignore=shutil.ignore_patterns("__pycache__"))
        return into

    (tmp_path / "copy").mkdir()
    return make(tmp_path / "copy")


def first_use(folder: Path, *, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "lab", "--version"],
        env=os.environ | env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )


def test_it_is_found_through_a_link_and_from_any_folder(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/lab").symlink_to(os.path.relpath(paths.ROOT / "lab", (tmp_path / "bin").resolve()))
    done = subprocess.run(["bin/lab", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("virtlab ")


def test_a_module_of_the_current_folder_is_not_taken_for_ours(tmp_path):
    (tmp_path / "argparse.py").write_text("raise SystemExit('the wrong one')\n")
    done = subprocess.run(
        [paths.ROOT / "lab", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("virtlab ")


def test_a_venv_of_somebody_elses_is_not_touched(copy):
    (copy / ".venv").mkdir()
    (copy / ".venv/mine").touch()
    done = first_use(copy)
    assert done.returncode == 3
    assert "was made by something else" in done.stderr
    assert (copy / ".venv/mine").exists()


@pytest.mark.host
def test_no_network_is_said_and_the_log_named(copy):
    # Port 9 (discard) answers nobody; the environment wins over the machine's own pip settings.
    done = first_use(
        copy,
        PIP_INDEX_URL="http://127.0.0.1:9/",
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
        PIP_CONFIG_FILE="/dev/null",
    )
    assert done.returncode == 3
    assert "installing uv: failed" in done.stderr
    assert "Is the network up?" in done.stderr
    assert Path(done.stderr.rsplit("The whole log: ", 1)[1].strip()).exists()


@pytest.mark.host
def test_no_room_is_said_with_figures(copy):
    script = 'mount -t tmpfs -o size=16m none "$1" && cp -r "$2"/. "$1" && exec "$1/lab" --version'
    room = copy.parent / "room"
    room.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "bash", room, copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "MB free; .venv takes about 700 MB" in done.stderr


@pytest.mark.host
def test_killed_in_the_middle_the_next_one_mends_it(copy):
    site = copy / ".venv/lib"
    process = subprocess.Popen(
        [copy / "lab", "--version"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not list(site.glob("python*/site-packages/ansible*")):  # half of the packages are there
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (copy / ".venv/.incomplete").exists()

    done = first_use(copy)
    assert done.returncode == 0, done.stderr
    assert not (copy / ".venv/.incomplete").exists()
    python = copy / ".venv/bin/python"
    subprocess.run(
        [python, "-c", "import ansible, ansible_runner, docker, jupyterlab, libvirt, virtlab"], check=True
    )
    community = copy / ".venv/collections/ansible_collections/community"
    assert set(COMMUNITY) == {one.name for one in community.iterdir()}

    again = first_use(copy, timeout=10)
    assert (again.returncode, again.stderr) == (0, "")  # nothing was left to do
