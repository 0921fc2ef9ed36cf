"""The seat at the other end of a line: the same doors as `virtlab.seat.Seat`, each of them over there."""

from __future__ import annotations

import os
import socket
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, cast

from virtlab import patience, seat
from virtlab.errors import Unknown
from virtlab.remote.door import Door
from virtlab.remote.line import Line

if TYPE_CHECKING:
    import requests


class RemoteSeat(seat.Seat):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line

    def path(self, where: str | PurePath) -> Path:
        return cast(Path, self.line.door.path(where))

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        return self.line.door.connect(address, port, timeout)

    @cached_property
    def http(self) -> requests.Session:
        return seat._session(pools(self.line.door))

    @cached_property
    def host(self) -> Any:
        import testinfra

        way = self.line.way
        options = f"-F /dev/null -o ControlPath={self.line.folder}/master"
        return testinfra.get_host(f"ssh://{way.user}@{way.address}:{way.port}", ssh_extra_args=options)

    def ssh_options(self, key: str) -> list[str]:
        """The key is fetched: `ssh` reads it from a file here."""
        copy = self.line.folder / f"guest-{Path(key).name}"
        if not copy.exists():
            try:
                data = self.line.door.read(key)
            except OSError as error:
                raise Unknown(f"I cannot read {key} in the seat: {error.strerror}.", do="") from None
            new = copy.with_suffix(f".{os.urandom(4).hex()}")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
            new.replace(copy)
        return ["-i", str(copy), *self.line.through()]

    def _docker_environment(self) -> dict[str, str] | None:
        return {"DOCKER_HOST": f"unix://{self.line.docker}"}

    def _libvirt_uri(self) -> str:
        return f"qemu+unix:///system?socket={self.line.libvirt}"

    def _no_docker(self, error: Exception) -> Unknown:
        late = f"no answer within {patience.seconds(seat.DOCKER_CONNECT):g} seconds"
        why = late if "timed out" in str(error) else "nobody answers on its socket"
        return Unknown(f"I cannot reach the seat's Docker daemon: {why}.", do="In the seat: `lab doctor`.")

    def _no_libvirt(self, uri: str, reason: str) -> Unknown:
        return Unknown(f"I cannot reach the seat's libvirt: {reason}.", do="In the seat: `lab doctor`.")


def pools(door: Door) -> dict[str, Any]:
    """urllib3's connection pools, by scheme, with connections that begin behind the door."""
    from urllib3 import connectionpool
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    class Opened:
        """What its own `_new_conn` does, with another socket."""

        def _new_conn(self: Any) -> socket.socket:
            try:
                return door.connect(self._dns_host, self.port, self.timeout or seat.TIMEOUT)
            except TimeoutError as error:
                raise ConnectTimeoutError(self, f"{self.host} timed out") from error
            except OSError as error:
                raise NewConnectionError(self, f"Failed to connect: {error}") from error

    def pool(kind: Any) -> Any:
        connection = type("Connection", (Opened, kind.ConnectionCls), {})
        return type(kind.__name__, (kind,), {"ConnectionCls": connection})

    return {
        "http": pool(connectionpool.HTTPConnectionPool),
        "https": pool(connectionpool.HTTPSConnectionPool),
    }
