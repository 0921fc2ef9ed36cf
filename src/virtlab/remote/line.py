"""One SSH connection to a machine: its Docker, its libvirt and a door to all else, each as a socket here.

Everything goes with the `ssh` process: the sockets, what runs over there, and what it made there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import shlex
import subprocess
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from virtlab.errors import Unknown
from virtlab.remote.door import Door

DOCKER, LIBVIRT = "/var/run/docker.sock", "/var/run/libvirt/libvirt-sock"
OPTIONS = {
    "BatchMode": "yes",
    "IdentitiesOnly": "yes",
    "GlobalKnownHostsFile": "/dev/null",
    "StrictHostKeyChecking": "yes",
    "HostKeyAlias": "seat",
    "HostKeyAlgorithms": "ssh-ed25519",
    "ConnectTimeout": "20",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "6",
    "ExitOnForwardFailure": "yes",
    "StreamLocalBindUnlink": "yes",
    "ControlMaster": "yes",
    "ControlPersist": "no",
    "LogLevel": "ERROR",
}
END = 5.0  # seconds to end in order
LONGEST = 65536  # bytes of what a login may say before
HELLO = 120.0  # seconds from the first packet to the door: emulated, on a busy host, a login takes twenty


@dataclass(frozen=True)
class Way:
    """Where a machine is, and as whom to look at it."""

    user: str
    address: str
    port: int = 22
    python: str = "python3"  # over there


class Line:
    """`folder`: of nobody else, with `key` (private) and `host_key` (the line of a public one) in it."""

    def __init__(self, folder: Path, way: Way) -> None:
        self.folder = folder
        self.way = way
        self.door = Door(folder / "door")
        self.docker, self.libvirt = folder / "docker", folder / "libvirt"
        self.home, self.patience = "", 1
        self._ssh: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Line:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Its standard input ends, and with it what runs over there, in order."""
        if (ssh := self._ssh) is None:
            return
        for stream in (ssh.stdin, ssh.stdout):
            if stream:
                stream.close()
        try:
            ssh.wait(END)
        except subprocess.TimeoutExpired:
            ssh.kill()
            ssh.wait()

    def is_open(self) -> bool:
        """Whether the door answers still."""
        try:
            self.door.stat("/")
        except Unknown:
            return False
        return True

    def through(self) -> list[str]:
        """Options of another `ssh`, to machines that this one reaches."""
        way = ["ssh", "-F", "/dev/null", "-S", str(self.folder / "master"), "-W", "[%h]:%p", "seat"]
        return ["-o", f"ProxyCommand={shlex.join(way)}"]

    def _open(self) -> None:
        host_key = (self.folder / "host_key").read_text().strip()
        (self.folder / "known_hosts").write_text(f"seat {host_key}\n")
        there = f"/tmp/virtlab-{secrets.token_hex(8)}"  # noqa: S108 (made there as a folder of its own)
        text = program(there)
        start = f"import sys; exec(sys.stdin.buffer.read({len(text)}))"
        mine = OPTIONS | {
            "IdentityFile": str(self.folder / "key"),
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "ControlPath": str(self.folder / "master"),
        }
        ends = {self.docker: DOCKER, self.libvirt: LIBVIRT, self.door.where: f"{there}/door"}
        command = ["ssh", "-F", "/dev/null", "-T", "-p", str(self.way.port), "-l", self.way.user]
        command += [word for name, value in mine.items() for word in ("-o", f"{name}={value}")]
        command += [word for here, far in ends.items() for word in ("-L", f"{here}:{far}")]
        command += [self.way.address, shlex.join(["exec", self.way.python, "-I", "-c", start])]
        with (self.folder / "log").open("wb") as log:
            self._ssh = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        hello = self._hello(text)
        self.home, self.patience = hello["home"], hello["patience"]

    def _hello(self, text: bytes) -> dict[str, Any]:
        """Give the program away, and wait for the line that says that the door is there."""
        ssh = self._ssh
        assert ssh and ssh.stdin and ssh.stdout  # noqa: S101
        said, rest = 0, b""
        end = time.monotonic() + HELLO
        try:
            ssh.stdin.write(text)
        except BrokenPipeError:
            raise self._refused("") from None
        with selectors.DefaultSelector() as waiting:
            waiting.register(ssh.stdout, selectors.EVENT_READ)
            while said < LONGEST:
                if not waiting.select(max(0.0, end - time.monotonic())):
                    raise self._refused(f"no answer within {HELLO:.0f} seconds")
                if not (data := os.read(ssh.stdout.fileno(), 4096)):
                    raise self._refused("")
                said += len(data)
                *whole, rest = (rest + data).split(b"\n")
                if hello := next(filter(None, map(_greeting, whole)), None):
                    return hello
        raise self._refused(f"its shell said {data[:60]!r} and more")

    def _refused(self, why: str) -> Unknown:
        log = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        why = why or (log[-1].strip().rstrip(".") if log else "the connection was closed")
        if "verification failed" in why:
            return Unknown(
                f"{self.way.address} answers over SSH with another key than the seat has.",
                do="Somebody has changed its SSH server: look at it yourself.",
            )
        return Unknown(
            f"I cannot log in to the seat at {self.way.address} as {self.way.user}: {why}.",
            do="Does SSH run in it, and pass connections on? Its student, who is root there, decides.",
        )


def _greeting(line: bytes) -> dict[str, Any]:
    """What the relay says first; {} for whatever a shell says at a login before it."""
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        said = json.loads(line)
        return {"home": str(said["home"]), "patience": int(said["patience"])}
    return {}


def program(folder: str) -> bytes:
    """What runs over there: how patient one has to be, then the relay."""
    ours = resources.files("virtlab")
    first = ours.joinpath("patience.py").read_text()
    second = ours.joinpath("remote/relay.py").read_text().replace("from __future__ import annotations\n", "")
    return f"{first}\n{second}\nmain({folder!r}, times())\n".encode()
