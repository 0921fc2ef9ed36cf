"""Runs on the machine that is graded from elsewhere, as its learner: opens connections there, reads files.

Only the standard library: the text of this module, behind that of `virtlab.patience`, is given to the Python
there, and nothing is installed. Its socket is in a folder of its own, of nobody else, and SSH leads there.
Each connection to it begins with one line of JSON, and is answered with one:

    ["connect", address, port, seconds]   then it is a connection to that address
    ["read", path]                        then the bytes follow, as many as the answer says
    ["stat", path]  ["list", path]  ["database", path]: SQLite's, whole, whoever writes to it meanwhile

What goes wrong comes back as it happened here: its kind, number and words. All ends with standard input.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

LARGEST = 256 << 20  # bytes of one file
PIECE = 65536


def read(path: str) -> tuple[int, bytes]:
    with open(path, "rb") as file:  # noqa: PTH123 (what is in /proc has no size to go by)
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise OSError(27, "File too large")
    return len(data), data


def database(path: str) -> tuple[int, bytes]:
    if not Path(path).exists():
        raise FileNotFoundError(2, "No such file or directory")
    try:
        with closing(sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            db.execute("PRAGMA schema_version").fetchone()
            data = db.serialize()
    except sqlite3.Error as error:
        raise OSError(5, str(error)) from None
    return len(data), data


def stat(path: str) -> tuple[list[float], bytes]:
    found = os.stat(path)  # noqa: PTH116
    return [found.st_mode, found.st_size, found.st_mtime], b""


def names(path: str) -> tuple[list[str], bytes]:
    return sorted(os.listdir(path)), b""  # noqa: PTH208


READ: dict[str, Callable[[str], tuple[Any, bytes]]] = {
    "read": read, "stat": stat, "list": names, "database": database
}  # fmt: skip


def serve(asker: socket.socket) -> None:
    with asker, suppress(OSError):
        try:
            verb, *what = json.loads(asker.makefile("rb", buffering=0).readline())
            if verb == "connect":
                address, port, seconds = what
                other = socket.create_connection((address, port), seconds)
            else:
                answer, data = READ[verb](*what)
        except OSError as error:
            said = [type(error).__name__, error.errno, error.strerror or str(error)]
            asker.sendall(json.dumps({"error": said}).encode() + b"\n")
            return
        if verb == "connect":
            with other:
                other.settimeout(None)
                asker.sendall(b'{"is": null}\n')
                pump(asker, other)
        else:
            asker.sendall(json.dumps({"is": answer}).encode() + b"\n" + data)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Both ways, until both have ended."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join()


def main(folder: str, patience: int) -> None:
    Path(folder).mkdir(mode=0o700)
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(f"{folder}/door")
            door.listen(64)
            threading.Thread(target=take, args=(door,), daemon=True).start()
            sys.stdout.write(json.dumps({"home": str(Path.home()), "patience": patience}) + "\n")
            sys.stdout.flush()
            sys.stdin.buffer.read()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take(door: socket.socket) -> None:
    while True:
        asker, _ = door.accept()
        threading.Thread(target=serve, args=(asker,), daemon=True).start()
