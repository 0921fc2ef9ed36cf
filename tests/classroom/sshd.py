"""An SSH server of the tests' own on this machine, as a seat has one: port, keys and home are its own.

It runs in a mount namespace, so that the user it wants for itself is in no file of the machine's.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from virtlab.hub import keys
from virtlab.hub.visit import write
from virtlab.remote.line import Way

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/server_key
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv HOME={home}
"""
INSIDE = """
set -e
mount --make-rprivate /
cp /etc/passwd "$1/passwd"
grep -q ^sshd: "$1/passwd" || echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >>"$1/passwd"
mount --bind "$1/passwd" /etc/passwd
chmod 755 "$1/empty"
mkdir -p /run/sshd
mount --bind "$1/empty" /run/sshd
exec "$2" -D -e -f "$1/config"
"""


def program(folder: Path) -> str:
    """The machine's own, else Debian's, fetched and not installed."""
    if found := shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"):
        return found
    for command in ("apt-get download -q openssh-server", "dpkg -x openssh-server*.deb ."):
        subprocess.run(["sh", "-c", command], cwd=folder, check=True, capture_output=True, timeout=120)
    return str(folder / "usr/sbin/sshd")


class Sshd:
    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.folder.mkdir(parents=True)
        (folder / "empty").mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        private, self.host_key = keys.pair()
        write(folder / "server_key", private)
        self.visitor, public = keys.pair()
        (folder / "authorized_keys").write_text(f"restrict,port-forwarding {public}\n")
        (folder / "config").write_text(CONFIG.format(port=self.port, folder=folder, home=home))
        self.had = Path("/run/sshd").exists()
        self._process: subprocess.Popen[bytes] | None = None

    def way(self) -> Way:
        return Way("root", "127.0.0.1", self.port)

    def let_in(self, folder: Path) -> Path:
        """What a visit puts into its folder."""
        folder.mkdir(mode=0o700)
        write(folder / "key", self.visitor)
        write(folder / "host_key", self.host_key)
        return folder

    def __enter__(self) -> Sshd:
        spaces = ["--mount", "--pid", "--fork", "--kill-child"]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", *spaces, "sh", "-c", INSIDE, "sh", str(self.folder), program(self.folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                ended = self._process.poll() is not None or time.monotonic() > end
                assert not ended, (self.folder / "log").read_text()
                time.sleep(0.05)

    def cut(self) -> None:
        """Every connection breaks off, and nobody answers any more: all of it is in one process namespace."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def __exit__(self, *_: object) -> None:
        self.cut()
        if not self.had and Path("/run/sshd").exists():
            Path("/run/sshd").rmdir()
