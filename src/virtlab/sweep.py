"""What belongs to a lab, and its removal. What is not the lab's is named, never touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from virtlab import snapshot
from virtlab.catalogue import LABEL, Lab
from virtlab.errors import MachineError
from virtlab.seat import Seat
from virtlab.snapshot import Thing

PROJECT = "com.docker.compose.project"
FOLDER = "com.docker.compose.project.working_dir"
ROLE = "virtlab.role"
DOCKERS_OWN = ("bridge", "host", "none")


def things(seat: Seat, lab: Lab) -> list[Thing]:
    """What is there of the kinds this lab works with."""
    return snapshot.things(seat, docker=lab.needs.docker, libvirt=lab.needs.libvirt)


def belongings(lab: Lab, found: Sequence[Thing], before: AbstractSet[str] | None) -> list[Thing]:
    """What belongs to the lab. `before`: the keys of what was there before its start; None if there was none.

    What carries the lab's label is the lab's. All else counts only when it appeared after the lab's
    start: what has its prefix, publishes one of its ports, sits on one of its networks, or shares a compose
    project with it.
    """
    own = {thing.key for thing in found if thing.labels.get(LABEL) == lab.slug}
    if before is not None:
        new = [thing for thing in found if thing.key not in before and not _elsewhere(thing, lab)]
        own |= {thing.key for thing in new if _is_named(lab, thing) or _is_worked(lab, thing)}
        size = -1
        while size != len(own):  # a project may bring a network, and that a container
            size = len(own)
            mine = [thing for thing in found if thing.key in own]
            networks = {thing.name for thing in mine if thing.kind == "network"}
            projects = {thing.labels[PROJECT] for thing in mine if PROJECT in thing.labels}
            own |= {
                thing.key
                for thing in new
                if thing.networks & networks
                or (thing.kind != "image" and thing.labels.get(PROJECT) in projects)
            }
    return [thing for thing in found if thing.key in own]


def _elsewhere(thing: Thing, lab: Lab) -> bool:
    """Another lab's, or the machine's own."""
    return ROLE in thing.labels or thing.labels.get(LABEL, lab.slug) != lab.slug


def _is_named(lab: Lab, thing: Thing) -> bool:
    name = thing.name.rpartition("/")[2] if thing.kind == "image" else thing.name
    in_pool = thing.kind != "disk" or thing.id.startswith(f"{snapshot.pool()}/")
    return name.startswith(f"{lab.prefix}-") and in_pool


def _is_worked(lab: Lab, thing: Thing) -> bool:
    """A container on one of the lab's ports, or of a compose project in the lab's folder."""
    if thing.kind != "container":
        return False
    folder = thing.labels.get(FOLDER)
    return bool(thing.ports & set(lab.ports.values())) or (
        folder is not None and Path(folder).is_relative_to(lab.work)
    )


def others(
    lab: Lab, found: Iterable[Thing], before: AbstractSet[str], prefixes: Iterable[str]
) -> list[Thing]:
    """What appeared meanwhile and is neither this lab's, nor another's, nor the machine's own."""
    starts = tuple(f"{prefix}-" for prefix in prefixes)
    return [
        thing
        for thing in found
        if thing.key not in before
        and not _elsewhere(thing, lab)
        and LABEL not in thing.labels
        and not thing.name.rpartition("/")[2].startswith(starts)
    ]


def remove(seat: Seat, gone: Sequence[Thing], found: Sequence[Thing]) -> None:
    """Remove them, in an order that works. Whatever is gone already is as good as removed."""
    problems = []
    going = {thing.key for thing in gone}
    for kind, take in REMOVERS.items():
        for thing in gone:
            if thing.kind != kind:
                continue
            try:
                if kind == "network":
                    _let_go(seat, thing, [one for one in found if one.key not in going])
                take(seat, thing)
            except Exception as error:
                if not _is_missing(error):
                    problems.append(f"{thing}: {' '.join(str(error).split())}")
    if problems:
        raise MachineError(
            f"I could not remove {len(problems)} of what belongs to the lab. {'; '.join(problems)}.",
            do="Put that right and run `lab finish` again.",
        )


def _let_go(seat: Seat, network: Thing, staying: Iterable[Thing]) -> None:
    """Containers that stay are only taken off the network that goes."""
    for thing in staying:
        if network.name in thing.networks:
            seat.docker.api.disconnect_container_from_network(thing.id, network.id, force=True)


def _container(seat: Seat, thing: Thing) -> None:
    seat.docker.api.remove_container(thing.id, force=True, v=True)  # v: its anonymous volumes


def _network(seat: Seat, thing: Thing) -> None:
    seat.docker.api.remove_network(thing.id)


def _volume(seat: Seat, thing: Thing) -> None:
    seat.docker.api.remove_volume(thing.name, force=True)


def _image(seat: Seat, thing: Thing) -> None:
    name = thing.id.partition("@")[2] if thing.name == "<none>" else thing.name
    seat.docker.api.remove_image(name, force=thing.name == "<none>")


def _guest(seat: Seat, thing: Thing) -> None:
    import libvirt

    guest = seat.libvirt.lookupByUUIDString(thing.id)
    kept = guest.isPersistent()
    if guest.isActive():
        guest.destroy()
    if kept:
        guest.undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        )


def _guest_network(seat: Seat, thing: Thing) -> None:
    network = seat.libvirt.networkLookupByUUIDString(thing.id)
    kept = network.isPersistent()
    if network.isActive():
        network.destroy()
    if kept:
        network.undefine()


def _disk(seat: Seat, thing: Thing) -> None:
    pool, _, name = thing.id.partition("/")
    seat.libvirt.storagePoolLookupByName(pool).storageVolLookupByName(name).delete()


REMOVERS: dict[str, Any] = {
    "container": _container,
    "network": _network,
    "volume": _volume,
    "image": _image,
    "guest": _guest,
    "guest network": _guest_network,
    "disk": _disk,
}


def _is_missing(error: Exception) -> bool:
    """Already gone, or just going."""
    response = getattr(error, "response", None)
    if response is not None:
        return response.status_code == 404 or "already in progress" in str(error)
    code = getattr(error, "get_error_code", None)
    return code is not None and code() in (42, 43, 50)  # VIR_ERR_NO_DOMAIN, _NO_NETWORK, _NO_STORAGE_VOL
