"""What `lab up` looks at before it changes anything: distribution, room, memory, package manager."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import facts, paths
from virtlab.errors import MachineError

SUPPORTED = {("debian", "12"), ("debian", "13"), ("ubuntu", "22.04"), ("ubuntu", "24.04")}
DPKG = Path("/var/lib/dpkg")
GB = 1000**3
NEEDS_GB = 8.0  # all that a first `lab up` writes, and the rooms it builds images in
NEEDS_GB_AGAIN = 0.5
MIN_MEMORY_GB, GOOD_MEMORY_GB = 0.9, 3.0


@dataclass(frozen=True)
class Port:
    """A port that a role is going to listen on."""

    number: int
    address: str
    role: str
    variable: str  # that moves it


def wanted_ports(variables: Mapping[str, Any], roles: list[str]) -> list[Port]:
    def port(role: str, variable: str, usual: int) -> Port:
        return Port(int(variables.get(variable, usual)), "127.0.0.1", role, variable)

    registry = str(variables.get("virtlab_registry", "")).rpartition(":")[2]
    every = [
        Port(int(registry) if registry.isdigit() else 5000, "docker0", "registry", "virtlab_registry"),
        port("wordpress", "wordpress_port", 8080),
        port("container_networks", "container_networks_host_port", 8090),
        port("jupyterlab", "jupyterlab_port", 8888),
    ]
    return [one for one in every if one.role in roles]


def check() -> list[str]:
    """Raise for what cannot work; return in plain words what may not."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-query"):
        raise MachineError(
            "There is no apt on this machine.", do="Use Debian 12 or 13, or Ubuntu 22.04 or 24.04."
        )
    _check_disk()
    return [*_distribution(), *_memory()]


def finish_interrupted_dpkg() -> bool:
    """apt refuses to work after a killed dpkg; so does every role that installs something."""
    if not any((DPKG / "updates").iterdir()) or _is_dpkg_at_work():
        return False
    done = subprocess.run(
        ["dpkg", "--configure", "-a"],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MachineError(
            "A package installation was interrupted earlier, and finishing it failed: "
            + " ".join(done.stderr.split()[-60:]),
            do="Run `dpkg --configure -a` as root, put right what it says, then run `lab up` again.",
        )
    return True


def _is_dpkg_at_work() -> bool:
    """Somebody else installs just now, Ubuntu's unattended upgrades perhaps; the roles wait for that."""
    with (DPKG / "lock-frontend").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _distribution() -> list[str]:
    release = facts.release()
    if (release.get("ID"), release.get("VERSION_ID")) in SUPPORTED:
        return []
    return [
        f"{release.get('PRETTY_NAME', 'This distribution')} has not been tried; "
        "Debian 12 and 13, Ubuntu 22.04 and 24.04 are what the roles are written for."
    ]


def _memory() -> list[str]:
    total = facts.memory()["MemTotal"] * 2**20 / GB
    if total < MIN_MEMORY_GB:
        raise MachineError(
            f"This machine has {total:.1f} GB of memory; the lab host alone takes about {MIN_MEMORY_GB} GB.",
            do="Use a machine with 4 GB or more.",
        )
    if total < GOOD_MEMORY_GB:
        return [f"This machine has {total:.1f} GB of memory: enough for containers, scarce for guests."]
    return []


def _check_disk() -> None:
    needed = NEEDS_GB_AGAIN if (paths.HOST_D / "jupyterlab.json").exists() else NEEDS_GB
    for folder in (paths.STATE, paths.CACHE, Path("/var/lib/docker"), Path("/tmp")):  # noqa: S108  (looked at only)
        existing, free = facts.room(folder)
        wants = NEEDS_GB_AGAIN if folder.name == "tmp" else needed
        if free / GB < wants:
            raise MachineError(
                f"{existing} has {free / GB:.1f} GB free; `lab up` needs {wants:.1f} GB there.",
                do="Make room, for example with `apt-get clean` or `docker system df`, then run it again.",
            )
