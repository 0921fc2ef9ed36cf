"""docker_engine: a second engine with network, options and images of its own, beside the machine's."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from converge import Converged, converge

USER = "virtlab-docker-test"
NETNS = "virtlab-test"
BUSYBOX = "registry.lab.test:5000/busybox:latest"
THEIRS = {"labels": ["owner=somebody"], "log-opts": {"max-size": "5m"}}

pytestmark = pytest.mark.host


class Engine:
    def __init__(self, folder: Path) -> None:
        self.folder, self.config, self.socket = folder, folder / "daemon.json", folder / "s"
        self.pidfile = folder / "pid"

    def run(self, *more: str, **changes: Any) -> Converged:
        return converge(
            "docker_engine",
            {
                "virtlab_state_dir": str(self.folder / "state"),
                "docker_engine_daemon": "dockerd-test",
                "docker_engine_unit": "",
                "docker_engine_users": [USER],
                "docker_engine_config": str(self.config),
                "docker_engine_socket": str(self.socket),
                "docker_engine_pidfile": str(self.pidfile),
                # A network of its own: two engines in one would pull docker0 from under each other.
                "docker_engine_command": [
                    "/usr/bin/nsenter",
                    f"--net=/run/netns/{NETNS}",
                    shutil.which("dockerd") or "/usr/sbin/dockerd",
                    f"--config-file={self.config}",
                    f"--data-root={self.folder}/data",
                    f"--exec-root={self.folder}/exec",
                    f"--pidfile={self.pidfile}",
                    f"--host=unix://{self.socket}",
                ],
                **changes,
            },
            *more,
        )

    @contextlib.contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        client = docker.DockerClient(base_url=f"unix://{self.socket}", version="auto")
        yield client
        client.close()

    def info(self) -> dict[str, Any]:
        with self.client() as client:
            return dict(client.info())


def groups() -> list[str]:
    return subprocess.run(["id", "-nG", USER], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def engine() -> Iterator[Engine]:
    folder = Path(tempfile.mkdtemp(prefix="vle-", dir="/var/tmp"))  # a socket's path is short
    engine = Engine(folder)
    engine.config.write_text(json.dumps(THEIRS))
    subprocess.run(["useradd", "--system", USER], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    try:
        yield engine
    finally:
        if engine.socket.exists():
            with contextlib.suppress(docker.errors.DockerException), engine.client() as client:
                for container in client.containers.list(all=True):
                    container.remove(force=True)
        engine.run(docker_engine_state="absent")
        subprocess.run(["ip", "netns", "del", NETNS], check=False)
        subprocess.run(["userdel", USER], check=False, capture_output=True)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if (mount := line.split()[4]).startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(folder)


def test_check_converge_again_undo(engine: Engine) -> None:
    options = {"labels": ["lab=yes"], "log-opts": {"max-file": "3"}, "max-concurrent-downloads": 2}
    assert engine.run("--check", docker_engine_options=options).changed >= 2
    assert json.loads(engine.config.read_text()) == THEIRS
    assert not engine.socket.exists()
    assert "docker" not in groups()

    assert engine.run(docker_engine_options=options).changed >= 2
    assert json.loads(engine.config.read_text()) == {
        "labels": ["owner=somebody", "lab=yes"],
        "log-opts": {"max-size": "5m", "max-file": "3"},
        "max-concurrent-downloads": 2,
    }
    assert sorted(engine.info()["Labels"]) == ["lab=yes", "owner=somebody"]
    assert "docker" in groups()
    assert engine.run(docker_engine_options=options).changed == 0

    assert engine.run(docker_engine_state="absent").changed >= 2
    assert json.loads(engine.config.read_text()) == THEIRS
    assert not engine.socket.exists() or not engine.pidfile.exists()
    assert "docker" not in groups()
    assert engine.run(docker_engine_state="absent").changed == 0


def test_new_options_keep_containers_and_restart_only_if_they_must(engine: Engine) -> None:
    assert engine.run().ok
    with engine.client() as client, contextlib.closing(docker.from_env()) as main:
        client.images.load(b"".join(main.images.get(BUSYBOX).save(named=BUSYBOX)))
        container = client.containers.run(BUSYBOX, ["sleep", "600"], detach=True, network_mode="none")
        container.reload()
        inside = container.attrs["State"]["Pid"]
    pid = engine.pidfile.read_text()

    reloadable = {"max-concurrent-uploads": 1, "debug": True}
    assert engine.run(docker_engine_options=reloadable).changed >= 1
    assert engine.pidfile.read_text() == pid, "a reload was enough"
    assert engine.info()["Debug"]

    options = {**reloadable, "log-opts": {"max-size": "1m"}}
    assert engine.run(docker_engine_options=options).changed >= 1
    assert engine.pidfile.read_text() != pid, "this needs a restart"
    with engine.client() as client:
        [container] = client.containers.list()
        assert container.attrs["State"]["Pid"] == inside, "the container runs on"
    assert not engine.info()["LiveRestoreEnabled"], "what carried it over is gone: Swarm needs that"
    assert "live-restore" not in json.loads(engine.config.read_text())
    assert engine.run(docker_engine_options=options).changed == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"debug": "yes"}, "must be a bool"),
        ({"no-such-option": 1}, "no-such-option"),
        ({"hosts": ["tcp://0.0.0.0"]}, "cannot hold 'hosts'"),
    ],
)
def test_wrong_options_change_nothing(engine: Engine, options: dict[str, Any], said: str) -> None:
    failed = engine.run(docker_engine_options=options)
    assert not failed.ok
    assert said in failed.output
    assert json.loads(engine.config.read_text()) == THEIRS


def test_a_broken_configuration_is_not_touched(engine: Engine) -> None:
    engine.config.write_text('{"labels": [')
    failed = engine.run(docker_engine_options={"debug": True})
    assert not failed.ok
    assert "not valid JSON" in failed.output
    assert engine.config.read_text() == '{"labels": ['
    engine.config.write_text("{}")


def test_options_that_the_engine_refuses_after_all_are_taken_back(engine: Engine) -> None:
    assert engine.run().ok
    failed = engine.run(docker_engine_options={"storage-driver": "no-such-driver"})
    assert not failed.ok
    assert "runs again" in failed.output or "would not start" in failed.output
    until = time.monotonic() + 10
    while time.monotonic() < until and not engine.socket.exists():
        time.sleep(0.1)
    assert engine.info()["Driver"] != "no-such-driver"
    assert json.loads(engine.config.read_text()) == THEIRS
