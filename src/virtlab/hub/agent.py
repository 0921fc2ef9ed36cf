"""What is said inside a guest, through the QEMU guest agent: no network, and secrets only by stdin."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode, b64encode
from contextlib import suppress
from importlib import resources
from typing import Any

import libvirt_qemu

from virtlab.errors import MachineError
from virtlab.hub import describe
from virtlab.hub.link import Link, Refused
from virtlab.hub.plan import Plan

ANSWER = 15  # seconds for one answer of the agent
PAUSE = 0.25
PARTS = ("out-data", "err-data")
INSIDE = "/usr/local/lib/virtlab-seat/inside.py"
UNIT = """[Unit]
Description=The student's server
After=local-fs.target

[Service]
ExecStart={python} {inside} {user}
Restart=always
TasksMax=4096
SyslogIdentifier=virtlab-seat

[Install]
WantedBy=multi-user.target
"""
# An image that has the same program already is left as it is; another release's is replaced.
INSTALL = """set -e
if [ "$(sha256sum <{inside} 2>/dev/null)" = "{sum}  -" ]; then
    if systemctl -q is-active virtlab-seat; then exit 0; fi
fi
mkdir -p "$(dirname {inside})"
cat >{inside}.new <<'VIRTLAB-END'
{program}VIRTLAB-END
cat >/etc/systemd/system/virtlab-seat.service <<'VIRTLAB-END'
{unit}VIRTLAB-END
mv {inside}.new {inside}
systemctl daemon-reload
systemctl -q enable virtlab-seat
systemctl --no-block restart virtlab-seat
"""
TELL = """
until [ -p /run/virtlab/door ]; do sleep 0.2; done
cat >/run/virtlab/door
read -r said </run/virtlab/answer
echo "$said"
"""


class Silent(MachineError):
    """The agent in a guest does not answer."""


async def ask(
    link: Link, name: str, command: str, arguments: dict[str, Any] | None = None, *, timeout: int = ANSWER
) -> Any:
    """One command of the agent's protocol, and what it returns."""
    text = json.dumps({"execute": command, "arguments": arguments or {}})

    def work(connection: Any) -> str:
        return str(libvirt_qemu.qemuAgentCommand(connection.lookupByName(name), text, timeout, 0))

    return json.loads(await link(f"ask the agent in {name}", work, timeout + 15))["return"]


async def awake(link: Link, name: str, patience: float) -> None:
    """Wait until the agent answers."""

    def connected(connection: Any) -> bool:
        guest = connection.lookupByName(name)
        channel = describe.tree(guest).find("devices/channel/target")
        if not guest.isActive():
            raise Silent(
                f"{name} on {link.name} ended while it was starting.",
                do=f"`virsh -c {link.uri} console {name}` during a start shows what its kernel says.",
            )
        return channel is not None and channel.get("state") == "connected"

    end = time.monotonic() + patience
    while time.monotonic() < end:
        # Asked before it is there, libvirt would write an error into its log each time.
        if await link(f"look at {name}", connected):
            with suppress(Refused):
                await ask(link, name, "guest-ping", timeout=5)
                return
        await asyncio.sleep(PAUSE)
    raise Silent(
        f"{name} on {link.name} runs, but its agent did not answer within {patience:.0f} seconds.",
        do="Is qemu-guest-agent in the image? A busy host may only need more time.",
    )


async def run(
    link: Link, name: str, *command: str, stdin: bytes = b"", patience: float = 60
) -> tuple[int, str, str]:
    """Run a program as root in the guest: exit code, output, errors."""
    path, *arguments = command
    started = await ask(
        link, name, "guest-exec",
        {"path": path, "arg": arguments, "capture-output": True, "input-data": b64encode(stdin).decode()},
    )  # fmt: skip
    end = time.monotonic() + patience
    pause = 0.05
    while True:
        status = await ask(link, name, "guest-exec-status", {"pid": started["pid"]})
        if status["exited"]:
            out, errors = (b64decode(status.get(part, "")).decode(errors="replace") for part in PARTS)
            return int(status.get("exitcode", 128 + status.get("signal", 0))), out, errors
        if time.monotonic() > end:
            raise Silent(f"`{path}` in {name} did not end within {patience:.0f} seconds.", do="Look inside.")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.5)


async def check(link: Link, name: str, *command: str, stdin: bytes = b"", patience: float = 60) -> str:
    code, out, errors = await run(link, name, *command, stdin=stdin, patience=patience)
    if code:
        raise MachineError(
            f"In {name} on {link.name}, {command[0]} failed ({code}): {(errors or out).strip()[-300:]}",
            do="Does the image hold what a seat needs (Python with JupyterLab, jupyterhub, systemd)?",
        )
    return out


def program() -> str:
    """What runs inside."""
    return resources.files("virtlab.hub").joinpath("inside.py").read_text()


async def install(link: Link, name: str, plan: Plan) -> None:
    """See that the program for the inside runs there; normally the image has it."""
    import hashlib

    text = program()
    script = INSTALL.format(
        inside=INSIDE,
        sum=hashlib.sha256(text.encode()).hexdigest(),
        program=text,
        unit=UNIT.format(python=plan.python, inside=INSIDE, user=plan.user),
    )
    await check(link, name, "/bin/sh", "-s", stdin=script.encode(), patience=180)


async def ready(link: Link, name: str, patience: float) -> None:
    """Wait until the program inside has loaded everything."""
    await check(
        link, name, "/bin/sh", "-c", "until [ -e /run/virtlab/ready ]; do sleep 0.3; done", patience=patience
    )


async def tell(link: Link, name: str, message: dict[str, Any], patience: float = 180) -> None:
    """Give the program inside a message and wait for its answer."""
    said = await check(
        link, name, "/bin/sh", "-c", TELL,
        stdin=json.dumps(message).encode() + b"\n", patience=patience,
    )  # fmt: skip
    if said.strip() != "ok":
        raise MachineError(
            f"{name} on {link.name} was told who it is, and answered: {said.strip()}",
            do="`/var/log/virtlab-seat.log` and `journalctl -u virtlab-seat` inside say more.",
        )
