"""A site and its database, found by what they do: whatever they are called, and however they were started."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from threading import Lock
from typing import TYPE_CHECKING, Any

from virtlab import patience
from virtlab.containers import together

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.seat import Seat

DOCKERS_OWN = {"bridge", "host", "none"}
Listed = dict[str, Any]  # a container as /containers/json lists it
Inspected = dict[str, Any]
Look = Callable[[Any, Any], Any]


class _Memory:
    """What one look found, or what was wrong."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.found: tuple[Any, str] | None = None


def once(look: Look) -> Look:
    """A grade looks with one seat, several checks at a time: what they share is looked at once."""

    @wraps(look)
    def remembered(seat: Seat, lab: Lab) -> Any:
        memory = vars(seat).setdefault("looked", {}).setdefault(look, _Memory())
        with memory.lock:
            if memory.found is None:
                try:
                    memory.found = look(seat, lab), ""
                except AssertionError as error:
                    memory.found = None, str(error)
        value, wrong = memory.found
        if wrong:
            raise AssertionError(wrong)
        return value

    return remembered


def name(one: Listed) -> str:
    return str(one["Names"][0]).lstrip("/")


def networks(one: Listed | Inspected) -> dict[str, Any]:
    found: dict[str, Any] = one["NetworkSettings"]["Networks"]
    return found


@once
def containers(seat: Seat, lab: Lab) -> Any:
    return seat.docker.api.containers(all=True)


def publishes(seat: Seat, one: Listed) -> list[tuple[str, int]]:
    """(address, port) of this machine; of a container that is stopped, those it would publish."""
    if one["State"] == "running":
        return [(item.get("IP") or "", item["PublicPort"]) for item in one["Ports"] if item.get("PublicPort")]
    wanted = seat.docker.api.inspect_container(one["Id"])["HostConfig"]["PortBindings"] or {}
    asked = [item for items in wanted.values() for item in items or ()]
    return [(item["HostIp"], int(item["HostPort"] or 0)) for item in asked]


@once
def site(seat: Seat, lab: Lab) -> Any:
    """The container that publishes the port `web`; a running one before one that is stopped."""
    port = lab.ports["web"]
    for one in sorted(containers(seat, lab), key=lambda one: bool(one["State"] != "running")):
        if any(published == port for _, published in publishes(seat, one)):
            return one
    raise AssertionError(
        f"No container publishes port {port}. I expected a site on http://localhost:{port}. The PORTS "
        "column of `docker ps` shows who publishes what."
    )


@once
def stack(seat: Seat, lab: Lab) -> Any:
    """The site and whom it reaches over networks that somebody made; without a site, the lab's containers."""
    try:
        found = [site(seat, lab)]
    except AssertionError:
        return [one for one in containers(seat, lab) if name(one).startswith(lab.name(""))]
    for one in found:  # grows while we look
        shared = networks(one).keys() - DOCKERS_OWN
        known = {each["Id"] for each in found}
        found += [
            each
            for each in containers(seat, lab)
            if each["Id"] not in known and shared & networks(each).keys()
        ]
    return found


def speaks_mysql(seat: Seat, address: str, port: int = 3306) -> bool:
    """The first packet of a MySQL server is a greeting (10), or says why it does not talk to us (255)."""
    try:
        with seat.connect(address, port, patience.seconds(0.5)) as connection:
            head = connection.recv(16)
    except OSError:
        return False
    return len(head) > 4 and head[3] == 0 and head[4] in (10, 255)


@once
def database(seat: Seat, lab: Lab) -> Any:
    """The container that serves 3306 to the site."""
    candidates = [one for one in stack(seat, lab) if one["State"] == "running"]
    for one in candidates:
        if any(speaks_mysql(seat, at["IPAddress"]) for at in networks(one).values() if at["IPAddress"]):
            return one
    asked = ", ".join(f"`{name(one)}`" for one in candidates) or "nobody, for nothing runs"
    raise AssertionError(
        f"Nobody answers like a database on port 3306. I asked {asked}: the container that publishes port "
        f"{lab.ports['web']} and whom it shares a network with, or, while there is none, those called "
        f"{lab.name('')}…. `docker ps --all` shows whether the database stopped, and `docker logs` why."
    )


@once
def crew(seat: Seat, lab: Lab) -> Any:
    """What the site consists of, each inspected: itself, its database, who shares a volume with them, and,
    when the site does not reach the database itself, who stands between the two."""

    def volumes(one: Listed) -> set[str]:
        return {item["Name"] for item in one["Mounts"] if item.get("Name")}

    front, base = site(seat, lab), database(seat, lab)
    core = {one["Id"]: one for one in (front, base)}
    kept = volumes(front) | volumes(base)
    near, far = networks(front).keys(), networks(base).keys()
    for one in stack(seat, lab):
        is_between = not near & far and near & networks(one).keys() and far & networks(one).keys()
        if one["State"] == "running" and (volumes(one) & kept or is_between):
            core[one["Id"]] = one
    return together(*[(seat.docker.api.inspect_container, one) for one in core])


def called(one: Inspected) -> str:
    return str(one["Name"]).lstrip("/")


def exists(seat: Seat, one: Inspected, path: str) -> bool:
    """A file inside a container: asking costs a hundredth of fetching it."""
    api = seat.docker.api
    url = f"{api.base_url}/v{api.api_version}/containers/{one['Id']}/archive"
    return bool(api.head(url, params={"path": path}).status_code == 200)


def read(seat: Seat, one: Inspected, path: str) -> bytes:
    """What a file inside a container says; nothing if it is not there."""
    for item in one["Mounts"]:
        if item["Type"] == "bind" and item["Destination"] == path:
            with suppress(OSError):  # not ours, or on another machine
                return seat.path(item["Source"]).read_bytes()
    if not exists(seat, one, path):
        return b""
    stream, _ = seat.docker.api.get_archive(one["Id"], path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        member = tar.extractfile(tar.getmembers()[0])
        return member.read() if member else b""


def is_mounted(one: Inspected, path: str) -> bool:
    """What is at this path comes from outside the container."""
    places = [item["Destination"].rstrip("/") for item in one["Mounts"]]
    return any(path == place or path.startswith(f"{place}/") for place in places)


def lasting(one: Inspected) -> list[str]:
    """Where a named volume or a folder of this machine is mounted: what the next container finds again."""
    kept = [item for item in one["Mounts"] if item["RW"] and item["Type"] in ("bind", "volume")]
    return [
        item["Destination"].rstrip("/")
        for item in kept
        if not re.fullmatch(r"[0-9a-f]{64}", item.get("Name", ""))
    ]


def environment(one: Inspected) -> Iterator[tuple[str, str]]:
    """Variables, and whatever looks like one in the command: a password is as visible there."""
    config = one["Config"]
    for entry in [*(config["Env"] or ()), *(config["Entrypoint"] or ()), *(config["Cmd"] or ())]:
        key, _, value = entry.partition("=")
        yield key.lstrip("-"), value


def replace(
    seat: Seat, old: Listed, *, env: tuple[str, ...] = (), also_at: str = "", volumes: bool = True
) -> None:
    """The same container again, with one thing worse: for proofs.

    `env`: more variables; `also_at`: published on this address too; without `volumes`: no named ones.
    """
    api = seat.docker.api
    was = api.inspect_container(old["Id"])
    host = was["HostConfig"]
    if also_at:
        for items in host["PortBindings"].values():
            items.append({"HostIp": also_at, "HostPort": items[0]["HostPort"]})
    if not volumes:
        host["Binds"] = [bind for bind in host["Binds"] or () if bind.startswith("/")]
    first, *more = networks(was)
    api.remove_container(old["Id"], force=True)
    config = was["Config"] | {
        "Env": [*was["Config"]["Env"], *env],
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {first: {}}},
    }
    made = api.create_container_from_config(config, called(was))  # type: ignore[no-untyped-call]
    for network in more:
        api.connect_container_to_network(made["Id"], network)
    api.start(made["Id"])
