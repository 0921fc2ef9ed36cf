"""A seat from beginning to end: plain async functions that the spawner, the command line and others call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from virtlab.errors import LabError, MachineError
from virtlab.hub import agent, keys, machines, warm
from virtlab.hub.hosts import Host, nothing
from virtlab.hub.link import HostDown
from virtlab.hub.machines import Machine
from virtlab.hub.plan import Registry

BOOT = 420.0  # seconds a cold boot may take: emulated, on a busy host
ANSWER = 240.0  # seconds until JupyterLab answers, after that
KNOCK = 5.0
SIGN = b"x-jupyterhub-version"  # it sets this header everywhere
log = logging.getLogger(__name__)

Tell = Callable[..., None]  # a phrase of `words`, and its values


@dataclass(frozen=True)
class Server:
    """What the student's server is started with: the tokens are in `environment`."""

    environment: Mapping[str, str]
    arguments: Sequence[str] = ()
    folder: str = ""


async def start(
    host: Host, owner: str, server: Server, *, pool: warm.Pool | None = None, tell: Tell = nothing
) -> Machine:
    """The student's seat on this host, running and answering: their own, a warm one, or a new one."""
    machine = await machines.of(host, owner)
    if machine is None and pool is not None and (machine := await pool.take(owner)):
        tell("your machine is warm already")
    if machine is None:
        machine = await _new(host, owner, tell)
    elif machine.running:
        machine = await _introduce(host, machine)
    if not machine.running:
        machine = await _boot(host, machine, tell)
    tell("telling your machine whose it is")
    await _serve(host, machine, server)
    tell("waiting for JupyterLab")
    await _answers(host, machine)
    return machine


async def _new(host: Host, owner: str, tell: Tell) -> Machine:
    """A copy of the template, else a machine to boot."""
    if template := await warm.find(host):
        tell("restoring your machine")
        try:
            return await wake(host, template, owner)
        except HostDown:
            raise
        except LabError as error:  # a template that does not load any more must not keep anybody out
            log.warning("%s: a copy of the template did not wake: %s", host.name, error.message)
            tell("restoring did not work, so your machine boots")
    return await machines.create(host, owner)


async def wake(host: Host, template: warm.Template, owner: str = "") -> Machine:
    """A complete warm seat: awake, with an identity, connected and limited."""
    machine = await warm.clone(host, template, owner)
    try:
        await agent.awake(host.link, machine.name, 60)
        machine = await _introduce(host, machine)
        await warm.plug(host, machine)
        await machines.limit(host, machine)
    except BaseException:
        with contextlib.suppress(LabError):
            await machines.remove(host, machine)
        raise
    return machine


async def _boot(host: Host, machine: Machine, tell: Tell) -> Machine:
    tell("booting your machine: this takes longer than restoring one")
    await machines.switch_on(host, machine)
    try:
        await machines.limit(host, machine)
        await agent.awake(host.link, machine.name, BOOT)
        await agent.install(host.link, machine.name, host.plan)
        return replace(await _introduce(host, machine), running=True)
    except asyncio.CancelledError:
        with contextlib.suppress(LabError):
            await machines.switch_off(host, machine.name, 0)
        raise


async def _introduce(host: Host, machine: Machine) -> Machine:
    """Tell a guest who it is. Nothing of this is in its description or in a process list, here or there."""
    private, public = keys.pair()
    identity = {
        "name": host_name(machine.owner or machine.name),
        "machine_id": machine.identity.replace("-", ""),
        "seed": secrets.token_hex(64),
        "time": time.time(),
        "host_key": private,
        "host_key_public": public,
        "keys": list(host.plan.keys),
    }
    await agent.tell(host.link, machine.name, {"identity": identity} | _registry(host.plan.registry))
    return await machines.relabel(host, machine, host_key=public)


def _registry(one: Registry | None) -> dict[str, dict[str, str]]:
    """Where a seat pulls images, whom it trusts there, and as whom."""
    if one is None:
        return {}
    try:
        password, ca = Path(one.password).read_text().strip(), Path(one.ca).read_text()
    except OSError as error:  # a seat without it is a seat
        log.warning("Seats get no account of %s: %s", one.endpoint, error)
        return {}
    account = b64encode(f"{one.user}:{password}".encode()).decode()
    where = {"address": one.address, "name": one.name, "endpoint": one.endpoint}
    return {"registry": where | {"ca": ca, "account": account}}


def host_name(owner: str) -> str:
    """A name for the guest: letters, digits and dashes."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in owner.lower())
    return name.strip("-")[:63] or "seat"


async def _serve(host: Host, machine: Machine, server: Server) -> None:
    message = {
        "environment": dict(server.environment),
        "arguments": list(server.arguments),
        "folder": server.folder,
    }
    await agent.tell(host.link, machine.name, {"serve": message})
    await machines.relabel(host, machine, serves="yes")


async def _answers(host: Host, machine: Machine, patience: float = ANSWER) -> None:
    end = time.monotonic() + patience
    while not await knock(machine.address, host.plan.port):
        if time.monotonic() > end:
            raise MachineError(
                f"{machine.name} runs, but JupyterLab in it did not answer within {patience:.0f} seconds"
                f"{await _log(host, machine)}.",
                do="Start it again. If that does not help, roll it back to a snapshot.",
            )
        await asyncio.sleep(0.2)


async def _log(host: Host, machine: Machine) -> str:
    """The last line that the server wrote, if it can be had."""
    with contextlib.suppress(LabError):
        _, said, _ = await agent.run(
            host.link, machine.name, "/bin/sh", "-c", "tail -n 1 /var/log/virtlab-seat.log", patience=10
        )
        if said.strip():
            return f"; the last line of its log is: {said.strip()[:200]}"
    return ""


async def knock(address: str, port: int) -> bool:
    """Whether a single-user server answers there: that something takes connections may be a proxy's doing."""
    try:
        async with asyncio.timeout(KNOCK):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(f"GET / HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
                return SIGN in (await reader.read(4096)).lower()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def poll(host: Host, machine: Machine) -> str:
    """Empty when it runs; else why not.

    A libvirtd that is away says nothing about its guests: then JupyterLab is asked.
    """
    try:
        now = await machines.get(host, machine.name)
    except HostDown as error:
        if await knock(machine.address, host.plan.port):
            return ""
        return error.message
    except MachineError:
        return f"the machine {machine.name} is gone"
    return "" if now.running else f"the machine {machine.name} is off"


async def stop(host: Host, machine: Machine) -> None:
    """End the server and shut the guest down. The disk stays, the tokens do not."""
    with contextlib.suppress(LabError):
        await agent.tell(host.link, machine.name, {"quiet": True}, patience=15)
    await machines.switch_off(host, machine.name)


async def set_aside(host: Host, machine: Machine) -> None:
    """An older machine of somebody who went on elsewhere: off, and kept under another name."""
    await machines.switch_off(host, machine.name, 5)
    await machines.relabel(host, machine, owner=f"{machine.owner}--before-{time.strftime('%Y%m%d-%H%M%S')}")


async def execute(host: Host, machine: Machine, command: str, patience: float = 60) -> tuple[int, str, str]:
    """Run a shell command as root inside."""
    return await agent.run(host.link, machine.name, "/bin/sh", "-c", command, patience=patience)
