"""Docker: the daemon, its client program, and who may use it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from virtlab import settings
from virtlab.doctor.finding import Finding, State, ask
from virtlab.doctor.guests import membership
from virtlab.errors import Unknown
from virtlab.seat import Seat

GROUP = "docker"
DEVICES = Path("/sys/class/net")
NETWORKD = Path("/run/systemd/netif/links")  # what systemd-networkd says of each device, by its number


def probe() -> Iterator[Finding]:
    yield from daemon()
    yield from taken_devices()
    yield from client()
    yield from membership("docker", GROUP)


def installed() -> bool:
    return bool(shutil.which("dockerd")) or "docker_engine" in settings.host() or "DOCKER_HOST" in os.environ


def daemon() -> Iterator[Finding]:
    try:
        info = Seat().docker.info()
    except Unknown as error:
        if not installed():
            said = "Docker Engine is not installed."
            yield Finding("docker", GROUP, State.INFO, said, "`./lab up` installs it.")
        else:
            yield Finding("docker", GROUP, State.FAIL, error.message, error.do)
        return
    yield Finding("docker", GROUP, State.OK, f"Docker Engine {info.get('ServerVersion')} answers.")
    yield storage(info)
    driver, version = info.get("CgroupDriver"), info.get("CgroupVersion")
    yield Finding("docker.cgroups", GROUP, State.OK, f"It uses cgroup version {version} through {driver}.")
    for number, warning in enumerate(missing_limits(info)):
        yield Finding(f"docker.warning.{number + 1}", GROUP, State.INFO, warning)


def storage(info: dict[str, Any]) -> Finding:
    driver = info.get("Driver")
    if driver == "vfs":
        return Finding(
            "docker.storage",
            GROUP,
            State.WARN,
            "It stores layers by copying them (vfs): slow and large.",
            "Put /var/lib/docker on ext4 or xfs and use overlay2.",
        )
    return Finding(
        "docker.storage", GROUP, State.OK, f"Layers are stored by {driver} in {info.get('DockerRootDir')}."
    )


def taken_devices(devices: Path = DEVICES, networkd: Path = NETWORKD) -> Iterator[Finding]:
    """Containers' devices that systemd-networkd has taken: that takes them off Docker's bridge."""
    for device in sorted(devices.glob("veth*")):
        try:
            said = (networkd / (device / "ifindex").read_text().strip()).read_text()
        except OSError:  # no networkd, or the container has just ended
            continue
        if re.search(r"^ADMIN_STATE=(?!unmanaged)", said, re.MULTILINE):
            yield Finding(
                "docker.devices",
                GROUP,
                State.FAIL,
                f"systemd-networkd has taken {device.name}, a container's network device, off its bridge: "
                "containers do not reach each other.",
                f"`networkctl status {device.name}` names the file (Network File). Write `Kind=!*` below its "
                "[Match], then as root: `systemctl restart systemd-networkd docker`.",
            )
            return


def missing_limits(info: dict[str, Any]) -> list[str]:
    """What the daemon says this kernel cannot limit, as far as labs limit it."""
    wanted = ("memory limit", "cpu cfs", "pids limit", "swap limit", "bridge-nf")
    said = (str(one).removeprefix("WARNING: ") for one in info.get("Warnings") or ())
    return [f"Docker says: {one}." for one in said if any(part in one.lower() for part in wanted)]


def client_version(text: str) -> str:
    found = re.search(r"version (\d+\.\d+(\.\d+)?)", text)
    return found.group(1) if found else ""


def clients() -> list[str]:
    """Every docker on PATH, first the one that is used."""
    folders = os.get_exec_path()
    return list(dict.fromkeys(path for one in folders if (path := shutil.which("docker", path=one))))


def client() -> Iterator[Finding]:
    found = clients()
    if not found:
        state = State.WARN if shutil.which("dockerd") else State.INFO
        yield Finding(
            "docker.client", GROUP, state, "There is no `docker` command.", "`./lab up` installs it."
        )
        return
    code, said = ask(found[0], "--version")
    version = client_version(said)
    if code or not version:
        yield Finding(
            "docker.client", GROUP, State.WARN, f"{found[0]} does not work: {said}.", "Reinstall docker.io."
        )
        return
    more = f" (before {', '.join(found[1:])} on PATH)" if len(found) > 1 else ""
    yield Finding("docker.client", GROUP, State.OK, f"The command `docker` is {found[0]}, {version}{more}.")
    if int(version.split(".")[0]) >= 23 and not has_buildx(found[0]):
        yield Finding(
            "docker.buildx",
            GROUP,
            State.INFO,
            f"`docker` {version} has no buildx plug-in: BuildKit builds fail.",
            "Builds without DOCKER_BUILDKIT=1 work, and the labs need no more. The package docker-buildx, "
            "or docker-buildx-plugin from Docker's own repository, adds it.",
        )


def has_buildx(docker: str) -> bool:
    return ask(docker, "buildx", "version")[0] == 0
