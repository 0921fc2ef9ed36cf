"""What the tests of seats share: the image, a plan, and the other side of a seat's network."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import kvmhosts
import seatimage
from kvmhosts import KvmHost

from virtlab.hub.hosts import Host
from virtlab.hub.placement import SeatSize
from virtlab.hub.plan import Door, Plan, Site
from virtlab.hub.seats import Server

T = TypeVar("T")
# Another disk than the tests' own, the kit's for example: then its user and its Python as well.
IMAGE = Path(os.environ.get("VIRTLAB_SEAT_IMAGE") or seatimage.IMAGE)
USER = os.environ.get("VIRTLAB_SEAT_USER") or seatimage.USER
PYTHON = os.environ.get("VIRTLAB_SEAT_PYTHON") or seatimage.PYTHON
MEMORY_MB = int(os.environ.get("VIRTLAB_SEAT_MEMORY") or 1024)
HUB_PORT, OTHER_PORT, PORT = 8081, 8099, 8890
HUB = Door(kvmhosts.HUB, HUB_PORT)


def digest() -> str:
    """Of the image; a gigabyte is read once."""
    with IMAGE.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plan(found: str, vcpus: int = 2, **more: Any) -> Plan:
    size = SeatSize(MEMORY_MB, vcpus, max(8192, virtual_mb()))
    return Plan("vlt", size, f"golden-{found[:12]}.qcow2", USER, PYTHON, **more)


def virtual_mb() -> int:
    """How large the image's disk is: a seat's may not be smaller."""
    with IMAGE.open("rb") as file:
        return -(-int.from_bytes(file.read(32)[24:32], "big") >> 20)


def site(host: KvmHost) -> Site:
    return Site(host.name, host.uri, host.subnet, emulated=True, peer=f"{host.prefix}.2")


def server(host: KvmHost, user: str) -> Server:
    """As a hub starts it."""
    prefix = f"/user/{user}/"
    return Server(
        {
            "JUPYTERHUB_USER": user,
            "JUPYTERHUB_SERVICE_PREFIX": prefix,
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{prefix}",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_API_TOKEN": f"secret-of-{user}",
            "JUPYTERHUB_API_URL": f"http://{host.hub}:{HUB_PORT}/hub/api",
            "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{user}",
        }
    )


class Loop:
    """One event loop for a whole module, as in a hub."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def together(self, *work: Coroutine[Any, Any, T]) -> list[T]:
        async def all_of_them() -> list[T]:
            return list(await asyncio.gather(*work))

        return self(all_of_them())


class Hub(ThreadingHTTPServer):
    """As much of a hub as a server asks for before it begins: its version. Who came is remembered."""

    def __init__(self, address: str) -> None:
        super().__init__((address, HUB_PORT), Answer)
        self.came: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        from jupyterhub import __version__

        self.server.came.append(self.client_address[0])
        text = json.dumps({"version": __version__}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


class Listener:
    """Takes connections at an address and remembers from where."""

    def __init__(self, address: str, port: int) -> None:
        self.came: list[str] = []
        self._socket = socket.create_server((address, port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, peer = self._socket.accept()
                self.came.append(peer[0])
                connection.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


async def ready(host: Host, found: str) -> None:
    await host.prepare()
    await host.send_image(IMAGE, found)
