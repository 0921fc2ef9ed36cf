"""Can this lab start here? What is missing is named, with what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from virtlab import paths
from virtlab.catalogue import LABEL, Lab
from virtlab.errors import MachineError
from virtlab.seat import Seat

MIB = 1024 * 1024


def check(lab: Lab, seat: Seat) -> None:
    """Raises the first thing that keeps the lab from starting."""
    needs = lab.needs
    if needs.docker:
        seat.docker  # noqa: B018: opens the connection
    if needs.libvirt:
        lab.host.kvm_host  # noqa: B018: was it ever set up?
        seat.libvirt  # noqa: B018: opens the connection
    _memory(lab)
    _disk(lab)
    for image in needs.images:
        _image(lab, seat, image)
    for name, port in lab.ports.items():
        _port(lab, seat, name, port)


def _memory(lab: Lab) -> None:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) // 1024
            if free < lab.needs.memory_mb:
                raise MachineError(
                    f"Lab {lab.slug} needs {lab.needs.memory_mb} MiB of free memory; this machine has {free} MiB.",
                    do="Finish other labs (`lab status` shows them) or close programs, then start it again.",
                )


def _disk(lab: Lab) -> None:
    for place in filter(None, ("/var/lib/docker" if lab.needs.docker else "", _pool(lab), str(paths.data().parent))):
        folder = next(path for path in (Path(place), *Path(place).parents) if path.exists())
        free = shutil.disk_usage(folder).free // MIB
        if free < lab.needs.disk_mb:
            raise MachineError(
                f"Lab {lab.slug} needs {lab.needs.disk_mb} MiB of free disk space; {folder} has {free} MiB.",
                do="`docker system df` and `du -xh / | sort -h | tail` show what takes it; make room and start again.",
            )


def _pool(lab: Lab) -> str:
    return str(lab.host.get("kvm_host", {}).get("pool_path", "")) if lab.needs.libvirt else ""


def _image(lab: Lab, seat: Seat, image: str) -> None:
    """Here, or fetched from the local registry."""
    from docker.errors import APIError, ImageNotFound

    name = lab.host.base_images.images.get(image)
    if name is None:
        raise MachineError(
            f"Lab {lab.slug} needs the image {image}, which this machine does not have.",
            do="Run `./lab up --only base_images`.",
        )
    try:
        seat.docker.images.get(name)
    except ImageNotFound:
        login = None
        secret = paths.SECRETS / "registry_password"
        if "registry" in lab.host and os.access(secret, os.R_OK):
            login = {"username": lab.host.registry.user, "password": secret.read_text().strip()}
        try:
            seat.docker.images.pull(name, auth_config=login)
        except (APIError, ImageNotFound) as error:
            raise MachineError(
                f"The image {name} is not here and the registry does not give it: {error.explanation or error}.",
                do="Run `./lab up --only base_images`.",
            ) from None


def _port(lab: Lab, seat: Seat, name: str, port: int) -> None:
    owner = _publisher(lab, seat, port) if lab.needs.docker else ""
    if owner == lab.slug:
        return
    if not owner:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                owner = _listener(port) or "another program"
    if owner:
        raise MachineError(
            f"Port {port}, which lab {lab.slug} publishes as '{name}', is taken by {owner}.",
            do=f"Stop that, or move the lab: `lab start {lab.number} --port {name}={free_port(port + 1000)}`.",
        )


def _publisher(lab: Lab, seat: Seat, port: int) -> str:
    for one in seat.docker.api.containers():
        if any(item.get("PublicPort") == port for item in one.get("Ports") or ()):
            if (one.get("Labels") or {}).get(LABEL) == lab.slug:
                return lab.slug
            return f"the container {one['Names'][0].removeprefix('/')}"
    return ""


def _listener(port: int) -> str:
    """The program that listens there, as far as this user may know."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) in sockets for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue  # gone, or somebody else's
    return ""


def free_port(first: int) -> int:
    for port in range(min(first, 60000), 65536):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return first
