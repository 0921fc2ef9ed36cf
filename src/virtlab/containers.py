"""Containers, looked at the way a check does: from outside, and at what works, however it was set up."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from virtlab import patience
from virtlab.ports import listening

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.seat import Seat

PAGE = 2.0  # seconds for a page of this machine; a busy one needs more than one
DNS = "127.0.0.11"  # Docker's own resolver, inside every container on a network that somebody created


def running(seat: Seat, name: str) -> Any:
    """The container of this name, which has to run."""
    from docker.errors import NotFound

    try:
        container = seat.docker.containers.get(name)
    except NotFound:
        raise AssertionError(
            f"There is no container called `{name}`. I expected it to run. `docker ps --all` lists what "
            "there is."
        ) from None
    if container.status != "running":
        raise AssertionError(
            f"`{name}` is there, and its state is '{container.status}'. I expected it to run. `docker logs "
            f"{name}` says how it ended."
        )
    return container


def of_lab(seat: Seat, lab: Lab) -> list[Any]:
    """The running containers that carry the lab's prefix."""
    return list(seat.docker.containers.list(filters={"name": f"^/?{lab.name('')}"}))


def attachments(container: Any) -> dict[str, Any]:
    """Its networks, by name."""
    found: dict[str, Any] = container.attrs["NetworkSettings"]["Networks"]
    return found


def inside(seat: Seat, lab: Lab, container: Any, script: str) -> str:
    """What a script prints inside a container.

    Where the tools are missing (126, 127) a busybox that joins the container's network runs it instead.
    """
    result = container.exec_run(["sh", "-c", script])
    output = result.output
    if result.exit_code in (126, 127):
        output = seat.docker.containers.run(
            lab.host.base_images.images["busybox"],
            ["sh", "-c", f"( {script}\n) || true"],
            remove=True,
            network_mode=f"container:{container.id}",
            labels={lab.label: lab.slug},
        )
    return str(output.decode(errors="replace"))


def together(*calls: tuple[Any, ...]) -> list[Any]:
    """Several looks at the same time: entering a container costs most of what a check costs."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(*call) for call in calls]]


def resolve(seat: Seat, lab: Lab, container: Any, *names: str) -> dict[str, set[str]]:
    """The addresses Docker's DNS gives inside a container; /etc/hosts has no say in it."""
    asked = "; ".join(
        f"echo name={name}; if command -v nslookup >/dev/null; then nslookup {name} {DNS}; elif command -v "
        f"getent >/dev/null; then getent -s dns ahostsv4 {name}; else exit 127; fi"
        for name in names
    )
    found = {name: set[str]() for name in names}
    for answer in inside(seat, lab, container, f"({asked}) 2>&1").split("name=")[1:]:
        name, _, rest = answer.partition("\n")
        found[name.strip()] = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", rest)) - {DNS}
    return found


def namespace_file(seat: Seat, lab: Lab, container: Any, name: str) -> str:
    """A file of /proc/net as the container's processes see it: the kernel's word, not Docker's records."""
    try:
        return seat.path(f"/proc/{container.attrs['State']['Pid']}/net/{name}").read_text()
    except OSError:
        return inside(seat, lab, container, f"cat /proc/net/{name}")


def listeners(seat: Seat, lab: Lab, container: Any) -> dict[str, int]:
    """What listens on TCP where the container is, as {socket: port}. Same socket, same network namespace."""
    tables = [namespace_file(seat, lab, container, name) for name in ("tcp", "tcp6")]
    return {socket: port for table in tables for address, port, socket in listening(table) if address != DNS}


def joined(seat: Seat, lab: Lab) -> list[tuple[Any, Any]]:
    """Pairs of containers, of which the first was started in the network namespace of the second."""
    from docker.errors import NotFound

    found = []
    for one in of_lab(seat, lab):
        kind, _, owner = one.attrs["HostConfig"]["NetworkMode"].partition(":")
        if kind == "container":
            with suppress(NotFound):  # the owner was removed: nobody to share with
                found.append((one, seat.docker.containers.get(owner)))
    return found


def shared_ports(seat: Seat, lab: Lab, one: Any, other: Any) -> list[int]:
    """The ports both see listening. No record of Docker's: a restarted owner gets a new namespace."""
    if other.status != "running":
        return []
    mine, theirs = (listeners(seat, lab, each) for each in (one, other))
    return sorted({mine[listener] for listener in mine.keys() & theirs.keys()})


def reached(seat: Seat, lab: Lab, sender: str, near: list[str], far: list[str]) -> set[str]:
    """Which addresses answer a packet. Once the near ones have answered, the far ones have had their time."""
    ping = f"ping -c 1 -W {patience.seconds(2):.0f}"  # an answer is not waited for longer than it takes
    pings = "".join(f"({ping} {one} >/dev/null 2>&1 && echo reached={one}) & " for one in far)
    pings += "".join(f"{ping} {one} >/dev/null 2>&1 && echo reached={one}; " for one in near)
    script = f"command -v ping >/dev/null || exit 127; {pings} sleep 0.05; kill 0"
    answers = inside(seat, lab, seat.docker.containers.get(sender), script)
    return set(re.findall(r"reached=(\S+)", answers))


def page(seat: Seat, url: str) -> tuple[str | None, str]:
    """A page's text over plain HTTP, or None and what went wrong."""
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = seat.talk(parts.hostname or "", parts.port or 80, patience.seconds(PAGE))
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().read(1_000_000).decode(errors="replace"), ""
    except TimeoutError:
        return None, f"no answer within {patience.seconds(PAGE):g} seconds"
    except ConnectionRefusedError:
        return None, "'connection refused'"
    except (OSError, http.client.HTTPException):
        return None, "an answer that breaks off"
    finally:
        connection.close()


def publishers(seat: Seat, port: int) -> dict[str, list[str]]:
    """The containers that publish a port of this machine, and on which addresses."""
    found = {}
    for one in seat.docker.api.containers():
        where = [item.get("IP", "") for item in one["Ports"] if item.get("PublicPort") == port]
        if where:
            found[one["Names"][0].lstrip("/")] = where
    return found


def connects(seat: Seat, address: str, port: int) -> bool:
    try:
        seat.connect(address, port, patience.seconds(0.5)).close()
    except OSError:
        return False
    return True


def own_addresses(seat: Seat) -> list[str]:
    """The IPv4 addresses of that machine."""
    table = seat.path("/proc/net/fib_trie").read_text()
    return sorted({match[1] for match in re.finditer(r"\|-- (\S+)\n\s+/32 host LOCAL", table)})


def open_beyond_localhost(seat: Seat, port: int) -> list[str]:
    """The addresses of that machine, other than 127.…, where a port answers."""
    others = [one for one in own_addresses(seat) if not one.startswith("127.")]
    return [one for one in others if connects(seat, one, port)]
