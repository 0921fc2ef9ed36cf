"""Quick questions to the Docker Engine: its own SDK takes a quarter of a second to import."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

SOCKET = "/var/run/docker.sock"


class EngineError(Exception):
    """The engine does not answer, or says no."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path: str, method: str = "GET", body: Any = None, timeout: float = 60) -> Any:
    """The engine's answer; None when there is no such thing (404)."""
    connection = _Connection(SOCKET, timeout)
    try:
        connection.request(
            method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(
            f"Docker does not answer at {SOCKET} ({error}). Start it (`systemctl start docker`, or "
            "`lab up --only docker_engine`), then run this again."
        ) from error
    finally:
        connection.close()
    if answer.status == http.client.NOT_FOUND:
        return None
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        said = text.decode(errors="replace")
    if answer.status >= 400:
        raise EngineError(
            f"Docker refused {method} {path}: {said.get('message') if isinstance(said, dict) else said}"
        )
    return said
