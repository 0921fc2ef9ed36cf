"""What the project's own tests need: tools, a browser, a place for caches, a look at what is left."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from virtlab import paths
from virtlab.errors import MachineError

LOCK = paths.ROOT / "requirements-test.txt"


def program(name: str) -> str:
    return str(Path(sys.prefix) / "bin" / name)


def scratch() -> Path:
    """Caches and reports; not in the checkout, which may be somebody else's."""
    return paths.private(paths.data() / "test")


def environment() -> dict[str, str]:
    here = scratch()
    return os.environ | {
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "RUFF_CACHE_DIR": str(here / "ruff"),
        "MYPY_CACHE_DIR": str(here / "mypy"),
        "ANSIBLE_HOME": str(here / "ansible"),
    }


def install(*, browser: bool, vagrant: bool = False, classroom: bool = False) -> None:
    """Once for each lock; held to its hashes."""
    stamp = Path(sys.prefix) / ".tests-complete"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        sys.stderr.write("Installing what the tests need …\n")
        command = [program("uv"), "pip", "install", "--quiet", "--python", sys.executable, "--require-hashes"]
        _do([*command, "--compile-bytecode", "-r", str(LOCK)], "the tools for the tests")
        stamp.write_text(wanted)
    if browser and not shutil.which("chromium"):
        _packages("Chromium", "chromium")
    if vagrant and not shutil.which("vagrant"):
        _packages("Vagrant", "vagrant,vagrant-libvirt")
    if classroom and not (shutil.which("configurable-http-proxy") and shutil.which("tini")):
        _packages("what a class's hub needs", "node-configurable-http-proxy,tini")


def _packages(what: str, names: str) -> None:
    sys.stderr.write(f"Installing {what} …\n")
    _do([program("ansible"), "this-machine", "-m", "virtlab_packages", "-a", f"name={names}"], what)


def _do(command: list[str], what: str) -> None:
    done = subprocess.run(
        command,
        cwd=paths.ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()[-60:])
        raise MachineError(f"Installing {what} failed: {said}", do="Is the network up? Try again.")


OTHERS_MOUNTS = ("/run/docker/netns/default", "/run/netns")


def remains() -> set[str]:
    """What `lab up` makes outside of packages, as lines that can be compared: nothing may be left of it."""
    listings = {
        "container": ["docker", "ps", "--all", "--format", "{{.Names}}"],
        "network": ["docker", "network", "ls", "--format", "{{.Name}}"],
        "volume": ["docker", "volume", "ls", "--format", "{{.Name}}"],
        "image": ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"],
        "guest": ["virsh", "-c", "qemu:///system", "list", "--all", "--name"],
        "guest network": ["virsh", "-c", "qemu:///system", "net-list", "--all", "--name"],
        "pool": ["virsh", "-c", "qemu:///system", "pool-list", "--all", "--name"],
    }
    usual = {"network bridge", "network host", "network none", "guest network default"}  # the packages' own
    found = {f"{kind} {line}" for kind, command in listings.items() for line in _lines(command)} - usual
    found |= {f"hosts: {line}" for line in Path("/etc/hosts").read_text().splitlines() if line.strip()}
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    # dockerd and `ip netns` mount these for good at their first use; what is below or beside them counts.
    found |= {f"mount: {place}" for place in mounts if place not in OTHERS_MOUNTS}
    for folder, pattern in (
        ("/etc/docker", "**/*"),
        ("/etc/systemd/system", "**/virtlab*"),
        ("/var", "l*/virtlab"),
    ):
        found |= {f"file {file}" for file in Path(folder).glob(pattern)} - {"file /etc/docker/key.json"}
    for line in _lines(["getent", "group", "docker", "libvirt", "kvm"]):
        name, *_, members = line.split(":")
        found |= {f"group {name}: {who}" for who in members.split(",") if who}
    return found | {f"daemon {mark}" for mark in _daemons()}


def _daemons() -> set[str]:
    """What still runs of what was started without systemd: `virtlab_daemon` marks it in its environment."""
    marks = set()
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended meanwhile
            found = [one for one in file.read_bytes().split(b"\0") if one.startswith(b"VIRTLAB_DAEMON=")]
            marks |= {one.decode(errors="replace") for one in found}
    return marks


def _lines(command: list[str]) -> list[str]:
    """Of a program that may not be there, or whose daemon may not run: then it lists nothing."""
    if not shutil.which(command[0]):
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.strip()]
