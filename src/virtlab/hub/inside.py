#!/usr/bin/env python3
"""Runs inside a seat, as root, from its boot on: gives the guest its identity and starts the student's
server.

Only the standard library and what the single-user server needs anyway. It imports the server first and then
waits at a named pipe, so a copy of a guest that was saved while it waited has all of it in memory and needs
only be told who it is. Messages are lines of JSON, which come through the guest agent's standard input,
never on a command line:

    {"identity": {"name", "machine_id", "seed", "time", "host_key", "host_key_public", "keys"}}
    {"registry": {"address", "name", "endpoint", "ca", "account"}}      where images come from
    {"serve": {"environment", "arguments", "folder"}}       {"quiet": true}: end the server, forget its tokens

Each is answered with one line at the second pipe: "ok", or what went wrong.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pwd
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

RUN = Path("/run/virtlab")
KEPT = Path("/var/lib/virtlab-seat/server.json")  # so that a student may reboot the guest
FIRST_BOOT = Path("/usr/local/sbin/virtlab-firstboot")  # makes what no two copies may share
LOG = Path("/var/log/virtlab-seat.log")
SSH = Path("/etc/ssh/ssh_host_ed25519_key")
ADD_ENTROPY, RESEED = 0x40085203, 0x5207  # <linux/random.h>
QUICK = 10.0  # a server that ends within so many seconds has failed
FAILURES = 3


def write(file: Path, text: str, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(file.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


# Everything the server imports is most of the time its start takes. `jupyterhub.singleuser.app` must not be
# among it: it patches what every later request goes through.
MODULES = [
    "jupyter_server.serverapp", "jupyterhub.singleuser.extension", "jupyterlab.labapp",
    "jupyter_server.services.contents.handlers", "jupyter_server.services.contents.largefilemanager",
    "jupyter_server.services.kernels.handlers", "jupyter_server.services.sessions.handlers",
    "jupyter_server_terminals", "jupyter_lsp", "notebook_shim", "nbconvert", "ipykernel.kernelspec",
    "virtlab.server",
]  # fmt: skip


class Seat:
    def __init__(self, user: str, door: int, answer: int) -> None:
        self.user = pwd.getpwnam(user)
        self.door, self.answer, self.rest = door, answer, b""
        self.woken, wake = os.pipe2(os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.server = 0  # its process id
        self.wanted: dict[str, Any] | None = None
        self.begun = 0.0
        self.failures = 0

    # --- who this guest is ------------------------------------------------------------------------------
    def identity(self, what: dict[str, Any]) -> None:
        time.clock_settime(time.CLOCK_REALTIME, what["time"])  # a copy goes on at the time it was saved
        seed = bytes.fromhex(what["seed"])
        with open("/dev/urandom", "wb", buffering=0) as device:  # noqa: PTH123 (a device, unbuffered)
            fcntl.ioctl(device, ADD_ENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
            fcntl.ioctl(device, RESEED)
        self._boot_id()
        socket.sethostname(what["name"])
        write(Path("/etc/hostname"), what["name"] + "\n")
        self._hosts("host", f"127.0.0.1 localhost\n127.0.1.1 {what['name']}\n::1 localhost")
        write(Path("/etc/machine-id"), what["machine_id"] + "\n", 0o444)
        write(SSH, what["host_key"], 0o600)
        write(SSH.with_suffix(".pub"), what["host_key_public"] + "\n")
        with suppress(OSError, ValueError):  # it reads its keys again; it may not run yet
            os.kill(int(Path("/run/sshd.pid").read_text()), signal.SIGHUP)
        for home, owner in ((Path("/root"), 0), (Path(self.user.pw_dir), self.user.pw_uid)):
            self._keys(home, owner, what["keys"])
        if FIRST_BOOT.exists():
            subprocess.Popen([FIRST_BOOT], stdin=subprocess.DEVNULL)  # look_after sees it end

    def _hosts(self, mark: str, lines: str) -> None:
        """Our lines of one kind; those of the student and of the kit stay."""
        file, end = Path("/etc/hosts"), f"  # seat: {mark}"
        old = file.read_text().splitlines() if file.exists() else []
        kept = [line for line in old if not line.endswith(end)]
        write(file, "\n".join([*(f"{line}{end}" for line in lines.splitlines()), *kept]) + "\n")

    def registry(self, what: dict[str, str]) -> None:
        """The engine trusts it under this one name, and the student's `docker pull` has its account."""
        self._hosts("registry", f"{what['address']} {what['name']}")
        write(Path("/etc/docker/certs.d") / what["endpoint"] / "ca.crt", what["ca"])
        file = Path(self.user.pw_dir) / ".docker/config.json"
        try:
            settings = dict(json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            settings = {}
        auths = settings.get("auths")
        auths = auths if isinstance(auths, dict) else {}
        settings["auths"] = auths | {what["endpoint"]: {"auth": what["account"]}}
        write(file, json.dumps(settings, indent=2) + "\n", 0o600)
        for path in (file.parent, file):
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _boot_id(self) -> None:
        """Copies of one memory share the kernel's boot id: lay another over it."""
        write(RUN / "boot_id", f"{os.urandom(4).hex()}-{os.urandom(2).hex()}-4{os.urandom(2).hex()[1:]}-"
                               f"a{os.urandom(2).hex()[1:]}-{os.urandom(6).hex()}\n")  # fmt: skip
        ctypes.CDLL(None).mount(
            str(RUN / "boot_id").encode(), b"/proc/sys/kernel/random/boot_id", None, 4096, None
        )

    def _keys(self, home: Path, owner: int, keys: list[str]) -> None:
        """The instructor's keys, beside those the student has put there."""
        file = home / ".ssh/authorized_keys"
        have = file.read_text().splitlines() if file.exists() else []
        if all(key in have for key in keys):
            return
        write(file, "\n".join([*have, *(key for key in keys if key not in have)]) + "\n", 0o600)
        file.parent.chmod(0o700)
        for path in (file.parent, file):
            os.chown(path, owner, owner)

    # --- the student's server ---------------------------------------------------------------------------
    def serve(self, what: dict[str, Any]) -> None:
        self.quiet()
        write(KEPT, json.dumps(what), 0o600)
        self.start(what)

    def start(self, what: dict[str, Any]) -> None:
        self.wanted, self.failures = what, 0
        self._start()

    def quiet(self) -> None:
        self.wanted = None
        KEPT.unlink(missing_ok=True)
        if self.server:
            with suppress(ProcessLookupError):
                os.killpg(self.server, signal.SIGTERM)
            for _ in range(50):
                if os.waitpid(self.server, os.WNOHANG)[0]:
                    break
                time.sleep(0.1)
            else:
                os.killpg(self.server, signal.SIGKILL)
                os.waitpid(self.server, 0)
            self.server = 0

    def _start(self) -> None:
        self.begun = time.monotonic()
        self.server = os.fork()
        if self.server == 0:
            try:
                self._become_server(self.wanted or {})
            except BaseException:
                traceback.print_exc()
                os._exit(1)

    def _become_server(self, wanted: dict[str, Any]) -> NoReturn:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Not os.O_APPEND alone: the log begins anew with each server, so that it cannot fill the disk.
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchown(log, self.user.pw_uid, self.user.pw_gid)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.closerange(3, 256)
        Path("/proc/self/oom_score_adj").write_text("0")
        os.initgroups(self.user.pw_name, self.user.pw_gid)
        os.setgid(self.user.pw_gid)
        os.setuid(self.user.pw_uid)
        home = self.user.pw_dir
        folder = Path(wanted.get("folder") or home)
        os.chdir(folder if folder.is_dir() else home)
        path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        me = {"USER": self.user.pw_name, "LOGNAME": self.user.pw_name, "SHELL": self.user.pw_shell}
        os.environ.clear()
        os.environ.update({"HOME": home, "LANG": "C.UTF-8", "PATH": path} | me | wanted["environment"])
        random.seed()
        sys.argv = ["jupyterhub-singleuser", *wanted["arguments"]]
        from jupyterhub.singleuser import main

        sys.exit(main())

    def look_after(self) -> None:
        """A server that ended is started again, unless it fails at once, again and again."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid != self.server:
                continue
            self.server = 0
            self.failures = self.failures + 1 if time.monotonic() - self.begun < QUICK else 1
            if self.wanted and self.failures <= FAILURES:
                time.sleep(0.5)
                self._start()

    # --- messages ---------------------------------------------------------------------------------------
    def listen(self, seconds: float | None) -> None:
        """Wait so long for a message or for the server's end; for ever without a number."""
        ready, _, _ = select.select([self.door, self.woken], [], [], seconds)
        if self.woken in ready:
            os.read(self.woken, 4096)
            self.look_after()
        if self.door in ready:
            *lines, self.rest = (self.rest + os.read(self.door, 65536)).split(b"\n")
            for line in lines:
                os.write(self.answer, (self.take(line) + "\n").encode())

    def take(self, line: bytes) -> str:
        try:
            message = json.loads(line)
            if "identity" in message:
                self.identity(message["identity"])
            if "registry" in message:
                self.registry(message["registry"])
            if "serve" in message:
                self.serve(message["serve"])
            if message.get("quiet"):
                self.quiet()
        except Exception as error:
            traceback.print_exc()
            return f"{type(error).__name__}: {error}"
        return "ok"


def pipe(name: str) -> int:
    path = RUN / name
    if not path.exists():
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)  # read and write: it never ends when a writer goes


def main() -> None:
    RUN.mkdir(mode=0o700, exist_ok=True)
    Path("/proc/self/oom_score_adj").write_text("-900")
    (RUN / "ready").unlink(missing_ok=True)
    seat = Seat(sys.argv[1], pipe("door"), pipe("answer"))
    for name in MODULES:  # a server that is wanted meanwhile imports the rest itself
        seat.listen(0)
        if seat.server:
            break
        with suppress(Exception):  # what is not there is not needed
            import_module(name)
    write(RUN / "ready", "")
    if not seat.server and KEPT.exists():
        seat.listen(3)
        if not seat.server:  # the student rebooted: nobody will say anything
            seat.start(json.loads(KEPT.read_text()))
    while True:
        seat.listen(None)


if __name__ == "__main__":
    main()
