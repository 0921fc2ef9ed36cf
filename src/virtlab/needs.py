"""Can this lab start here? What is missing is named, with what to do about it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from virtlab import facts, paths
from virtlab.catalogue import Lab
from virtlab.errors import MachineError
from virtlab.ports import Listeners
from virtlab.seat import Seat

MIB = 1024 * 1024


def check(lab: Lab, seat: Seat) -> None:
    """Raises the first thing that keeps the lab from starting. Images that are not here are fetched."""
    for look in _looks(lab, seat):
        look()
    for image in lab.needs.images:
        _fetch(lab, seat, image)


def obstacles(lab: Lab, seat: Seat) -> list[MachineError]:
    """Everything that keeps the lab from starting, looked at only."""
    found: dict[str, MachineError] = {}
    for look in _looks(lab, seat):
        try:
            look()
        except MachineError as error:
            found.setdefault(error.message, error)
    return list(found.values())


def _looks(lab: Lab, seat: Seat) -> Iterator[Callable[[], object]]:
    needs, listeners = lab.needs, Listeners(seat)
    if needs.docker:
        yield lambda: seat.docker
    if needs.libvirt:
        yield lambda: (lab.host.kvm_host, lab.host.vm_image)  # were they ever set up?
        yield lambda: seat.libvirt
    yield partial(_memory, lab)
    yield partial(_disk, lab)
    yield from (partial(_image, lab, image) for image in needs.images)
    yield from (partial(_port, lab, listeners, name, port) for name, port in lab.ports.items())


def _memory(lab: Lab) -> None:
    free = facts.memory()["MemAvailable"]
    if free < lab.needs.memory_mb:
        raise MachineError(
            f"Lab {lab.slug} needs {lab.needs.memory_mb} MiB of free memory; there are {free} MiB.",
            do="Finish other labs (`lab status` shows them) or close programs, then start it again.",
        )


def _disk(lab: Lab) -> None:
    for place in filter(
        None, ("/var/lib/docker" if lab.needs.docker else "", _pool(lab), str(paths.data().parent))
    ):
        folder, bytes_free = facts.room(Path(place))
        free = bytes_free // MIB
        if free < lab.needs.disk_mb:
            raise MachineError(
                f"Lab {lab.slug} needs {lab.needs.disk_mb} MiB of free disk space; {folder} has {free} MiB.",
                do="`docker system df` and `du -xh / | sort -h | tail` show what is large.",
            )


def _pool(lab: Lab) -> str:
    return str(lab.host.get("kvm_host", {}).get("pool_path", "")) if lab.needs.libvirt else ""


def _image(lab: Lab, image: str) -> str:
    """Its full name."""
    name = lab.host.base_images.images.get(image)
    if name is None:
        raise MachineError(
            f"Lab {lab.slug} needs the image {image}, which this machine does not have.",
            do="Run `./lab up --only base_images`.",
        )
    return str(name)


def _fetch(lab: Lab, seat: Seat, image: str) -> None:
    from docker.errors import APIError, ImageNotFound

    name = _image(lab, image)
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
                f"The image {name} is not here, nor in the registry: {error.explanation or error}.",
                do="Run `./lab up --only base_images`.",
            ) from None


def _port(lab: Lab, listeners: Listeners, name: str, port: int) -> None:
    owner = listeners.owner(port)
    if owner and not owner.belongs_to(lab):
        raise MachineError(
            f"Port {port}, which lab {lab.slug} publishes as '{name}', is taken by {owner.name}.",
            do="Stop that, or move the lab: "
            f"`lab start {lab.number} --port {name}={free_port(port + 1000)}`.",
        )


def free_port(first: int) -> int:
    for port in range(min(first, 60000), 65536):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return first
