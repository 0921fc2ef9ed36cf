"""The one door to the machine under test. All is opened on first use: imports are what a command costs.

This one is the machine we run on. Another is at the end of a line: `virtlab.remote.seat`.
"""

from __future__ import annotations

import os
import socket
import ssl
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from virtlab import paths, patience, settings
from virtlab.errors import Unknown

if TYPE_CHECKING:
    from http.client import HTTPConnection

    import docker
    import libvirt
    import requests

    from virtlab.catalogue import Needs

TIMEOUT = 3.0  # seconds for one answer over HTTP: a check must never hang
DOCKER_CONNECT = 10  # seconds for its first answer: a busy machine may take a few
DOCKER_TIMEOUT = 30  # seconds for one answer of the daemon; a check's own time limit is shorter


class Seat:
    """The machine under test: `docker`, `libvirt`, `http` and `host`; its files and its network besides."""

    def __init__(self) -> None:
        self._closed: dict[str, Unknown] = {}  # what did not answer once is not waited for again

    @staticmethod
    def load(needs: Needs) -> None:
        """Import what several threads will ask for at once, before they do. Of two that import `docker` and
        `docker.errors` in the same moment each waits for the other's import lock; Python ends that by giving
        one of them a package that lacks its module."""
        if needs.docker:
            import docker.errors  # noqa: F401

    @cached_property
    def docker(self) -> docker.DockerClient:
        import docker

        self._remember("docker")
        try:
            client = docker.from_env(
                timeout=DOCKER_CONNECT * patience.times(), environment=self._docker_environment()
            )
        except docker.errors.DockerException as error:
            raise self._closed.setdefault("docker", self._no_docker(error)) from None
        client.api.timeout = DOCKER_TIMEOUT * patience.times()
        return client

    @cached_property
    def libvirt(self) -> libvirt.virConnect:
        import libvirt

        self._remember("libvirt")
        libvirt.registerErrorHandler(lambda *_: None, None)  # it prints to stderr by itself otherwise
        uri = self._libvirt_uri()
        try:
            return libvirt.open(uri)
        except libvirt.libvirtError as error:
            raise self._closed.setdefault("libvirt", self._no_libvirt(uri, str(error))) from None

    @cached_property
    def http(self) -> requests.Session:
        return _session()

    @cached_property
    def host(self) -> Any:
        import testinfra

        return testinfra.get_host("local://")

    def path(self, where: str | PurePath) -> Path:
        """A file or folder of that machine, to be looked at."""
        return Path(where)

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection that begins on that machine: names and `localhost` mean what they mean there."""
        return socket.create_connection((address, port), timeout)

    def talk(
        self, address: str, port: int, timeout: float, context: ssl.SSLContext | None = None
    ) -> HTTPConnection:
        """HTTP over such a connection, with a context HTTPS; opened when something is asked."""
        from http.client import HTTPConnection, HTTPSConnection

        talk = (
            HTTPSConnection(address, port, timeout=timeout, context=context)
            if context
            else HTTPConnection(address, port, timeout=timeout)
        )

        def create(where: tuple[str, int], limit: float, _source: object = None) -> socket.socket:
            return self.connect(where[0], where[1], limit)

        talk._create_connection = create  # type: ignore[attr-defined]  # what http.client asks for a socket
        return talk

    def ssh_options(self, key: str) -> list[str]:
        """What `ssh` needs to reach that machine's guests with a key of its."""
        return ["-i", key]

    def _docker_environment(self) -> dict[str, str] | None:
        return None  # our own

    def _libvirt_uri(self) -> str:
        return str(settings.host().get("kvm_host", {}).get("uri", "qemu:///system"))

    def _no_docker(self, error: Exception) -> Unknown:
        return _no_docker(error)

    def _no_libvirt(self, uri: str, reason: str) -> Unknown:
        return _no_libvirt(uri, reason)

    def _remember(self, door: str) -> None:
        if door in self._closed:
            raise self._closed[door]


def _no_docker(error: Exception) -> Unknown:
    where = os.environ.get("DOCKER_HOST") or "/var/run/docker.sock"
    reason = str(error)
    if "Permission denied" in reason:
        return Unknown(
            f"I cannot reach the Docker daemon (permission denied on {where}).",
            do="Run `newgrp docker` in this terminal; if that is refused, `./lab up --only docker_engine`.",
        )
    if "timed out" in reason:
        return Unknown(
            f"The Docker daemon at {where} does not answer within {patience.seconds(DOCKER_CONNECT):g} "
            "seconds.",
            do="`pgrep -a dockerd` shows whether it runs; `./lab up --only docker_engine` starts it.",
        )
    if "No such file" in reason or "Connection refused" in reason:
        return Unknown(
            f"I cannot reach the Docker daemon (nothing answers at {where}).",
            do="Run `./lab up --only docker_engine`.",
        )
    return Unknown(f"I cannot reach the Docker daemon at {where}: {reason}.", do="Run `./lab doctor`.")


def _no_libvirt(uri: str, reason: str) -> Unknown:
    if "Permission denied" in reason or "authentication" in reason:
        return Unknown(
            f"I cannot reach libvirt at {uri} (permission denied).",
            do="Run `newgrp libvirt` in this terminal; if that is refused, `./lab up --only kvm_host`.",
        )
    return Unknown(f"I cannot reach libvirt at {uri}: {reason}.", do="Run `./lab up --only kvm_host`.")


def _session(pools: dict[str, Any] | None = None) -> requests.Session:
    """`pools`: urllib3's, by scheme, when connections are not to be made in the usual way."""
    import requests
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """The system's certificate authorities and the lab's own; a time limit for who forgets one."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            context = ssl.create_default_context()
            if paths.CA.exists():
                context.load_verify_locations(paths.CA)
            super().init_poolmanager(*args, ssl_context=context, **kwargs)
            if pools:
                self.poolmanager.pool_classes_by_scheme = pools

        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            if kwargs.get("timeout") is None:
                kwargs["timeout"] = patience.seconds(TIMEOUT)
            return super().send(request, *args, **kwargs)

    session = requests.Session()
    session.trust_env = False  # everything asked here is on this machine: no proxy, no .netrc
    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    return session
