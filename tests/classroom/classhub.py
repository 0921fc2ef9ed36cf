"""A real hub for tests: proxy with TLS, JupyterHub, board and culler, with seats that are processes."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from virtlab import paths
from virtlab.classroom import class_data
from virtlab.classroom.class_data import ClassData

INSTRUCTOR = "teacher"
STUDENTS = [
    {"id": "S01", "name": "Ada Lovelace", "email": "ada@example.org"},
    {"id": "s02", "name": "李明", "email": "ming@example.org"},
    {"id": "s03", "name": "<b>Grace</b> Hopper"},
]
SEAT = """#!/bin/sh
# A seat as a process: its own data and workspace, the kit's part in its server.
export VIRTLAB_DATA="$HOME/data" VIRTLAB_WORKSPACE="$HOME/virtlab" JUPYTER_CONFIG_DIR="$HOME/config"
mkdir -p "$VIRTLAB_WORKSPACE" && cd "$VIRTLAB_WORKSPACE" || exit
exec {python} -P -m jupyterhub.singleuser --ServerApp.jpserver_extensions='{{"virtlab.server": True}}' \\
    --ServerApp.root_dir="$VIRTLAB_WORKSPACE" --LabApp.extra_labextensions_path={page} {root} "$@"
"""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """The lab's own CA and a certificate for this machine: CA, certificate, key."""
    spec = importlib.util.spec_from_file_location("certs", paths.ROOT / "module_utils/virtlab_certs.py")
    certs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(certs)
    made = certs.certificates(folder, folder / "ca.crt", "localhost", "127.0.0.1", 30, served=folder)
    for path, (data, mode) in made.items():
        path.write_bytes(data)
        path.chmod(mode)
    return folder / "ca.crt", folder / "server.crt", folder / "server.key"


class ClassHub:
    """The hub of a class under `folder`, run as the role runs it."""

    def __init__(self, folder: Path, students: list[dict[str, str]] = STUDENTS, **more: Any) -> None:
        self.folder = folder
        self.ca, cert, key = certificate(folder)
        port, hub, board, proxy = free_ports(4)
        seat = folder / "seat"
        root = "--allow-root" if os.geteuid() == 0 else ""
        page = paths.ROOT / "src/virtlab/server/labextensions"
        seat.write_text(SEAT.format(python=sys.executable, root=root, page=page))
        seat.chmod(0o755)
        self.file = folder / "class.json"
        self.said = {
            "folder": str(folder / "hub"), "title": {"en": "Containers, autumn", "zh": "容器课，秋季"},
            "address": "127.0.0.1", "host": "localhost", "port": port,
            "certificate": str(cert), "key": str(key),
            "hub_port": hub, "board_port": board, "proxy_port": proxy,
            "students": students, "instructors": [INSTRUCTOR],
            "labs": ["04-local-registry", "05-container-networks"],
            "spawner_class": "simple",
            "config": {
                "SimpleLocalProcessSpawner": {"home_dir_template": str(folder / "home/{username}"),
                                              "cmd": [str(seat)]},
                "Spawner": {"start_timeout": 180, "http_timeout": 180},
            },
        } | more  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"
        self.write()

    def write(self, **more: Any) -> None:
        self.said |= more
        self.file.write_text(json.dumps(self.said))

    @property
    def data(self) -> ClassData:
        return class_data.read(self.file)

    @property
    def url(self) -> str:
        return self.data.url

    def start(self) -> None:
        (self.folder / "hub").mkdir(mode=0o700, exist_ok=True)
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "virtlab.classroom.run", self.file],
                stdout=log, stderr=log, env=environment, cwd=self.folder,
            )  # fmt: skip
        self.wait()

    def wait(self, seconds: float = 120.0) -> None:
        """Until hub, board and proxy answer."""
        data = self.data
        asked = (f"{data.hub_url}/hub/health", f"{data.board_url}/services/board/api/health",
                 f"{data.url}/hub/health")  # fmt: skip
        end = time.monotonic() + seconds
        for url in asked:
            while not self._answers(url):
                assert time.monotonic() < end, f"{url} does not answer.\n{self.log.read_text()[-6000:]}"
                assert self.process is None or self.process.poll() is None, self.log.read_text()[-6000:]
                time.sleep(0.2)

    def _answers(self, url: str) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(url, timeout=3, verify=str(self.ca)).status_code == 200
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def child(self, mark: str) -> int:
        """The process whose command line says this, among those that our runner keeps."""
        assert self.process
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in tasks:
            if mark in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
        raise AssertionError(f"No {mark} among {tasks}.")

    def session(self) -> requests.Session:
        """As a browser's: keeps cookies, and trusts the lab's CA only."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca)
        return session

    def log_in(self, session: requests.Session, who: str, password: str, **more: Any) -> requests.Response:
        session.get(f"{self.url}/hub/login", timeout=30)
        form = {"username": who, "password": password, "_xsrf": session.cookies["_xsrf"]}
        return session.post(f"{self.url}/hub/login", data=form, timeout=30, **more)

    def logged_in(self, who: str) -> requests.Session:
        """As a browser would be."""
        session = self.session()
        self.log_in(session, who, self.password(who), allow_redirects=False).raise_for_status()
        return session

    def token(self, who: str) -> str:
        """One that somebody has made for themselves, good for an hour."""
        session = self.logged_in(who)
        xsrf = next(one.value for one in session.cookies if one.name == "_xsrf" and one.path == "/hub/")
        answer = session.post(f"{self.url}/hub/api/users/{who}/tokens", timeout=30,
                              headers={"X-XSRFToken": xsrf or ""}, json={"expires_in": 3600})  # fmt: skip
        answer.raise_for_status()
        return str(answer.json()["token"])

    def cookies(self, who: str) -> list[dict[str, Any]]:
        """Of somebody who has logged in, for a browser."""
        session = self.session()
        assert self.log_in(session, who, self.password(who), allow_redirects=False).status_code == 302
        about = {"domain": "localhost", "secure": True}
        return [about | {"name": one.name, "value": one.value, "path": one.path} for one in session.cookies]

    def api(self, path: str, token: str, method: str = "GET", **more: Any) -> requests.Response:
        return requests.request(method, f"{self.url}/{path}", timeout=30, verify=str(self.ca),
                                headers={"Authorization": f"token {token}"}, **more)  # fmt: skip

    def password(self, who: str) -> str:
        found = self.data.accounts.first_password(who)
        assert found
        return found

    def seat_token(self, who: str) -> str:
        """Of the student's own running server, as the seat itself has it."""
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                said = dict(one.partition("=")[::2] for one in entry.read_text().split("\0"))
                if said.get("JUPYTERHUB_USER") == who and str(self.folder) in said.get("HOME", ""):
                    return said["JUPYTERHUB_API_TOKEN"]
        raise AssertionError(f"{who} has no server.")

    def start_seat(self, who: str) -> None:
        """As an instructor's script does, without a browser."""
        lab = self.data.secret("lab")
        self.api(f"hub/api/users/{who}", lab, "POST")
        self.api(f"hub/api/users/{who}/server", lab, "POST").raise_for_status()
        until(lambda: self.api(f"user/{who}/api/status", self.seat_token(who)).status_code == 200, 180)

    def end_seats(self) -> None:
        """They outlive the hub; the test's must not outlive the test."""
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError, ValueError):
                if f"HOME={self.folder}/home/" in entry.read_text():
                    os.kill(int(entry.parent.name), signal.SIGKILL)


def until(is_so: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(AssertionError, requests.RequestException):
            if is_so():
                return
        assert time.monotonic() < end, "It never came about."
        time.sleep(0.3)


@contextlib.contextmanager
def running(folder: Path, **more: Any) -> Iterator[ClassHub]:
    hub = ClassHub(folder, **more)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        hub.end_seats()
