"""A way into a seat over SSH, for as long as the hub's side looks at it.

The key is new each time, of nobody else, and good for a day even if it cannot be taken away again. It is put
in place by the guest agent, which also says the seat's own host key: so both know whom they talk to.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

from virtlab.errors import LabError, MachineError
from virtlab.hub import agent, keys
from virtlab.hub.hosts import Host
from virtlab.hub.machines import Machine

DAY = 24 * 3600
# One at a time: two visits that change the file at once would undo each other.
ALONE = """set -e
umask 077
exec 9>/run/virtlab-visit.lock
flock -w 20 9
"""
# $1: the user, $2: the line that lets the key in. Prints the seat's host key.
ADMIT = f"""{ALONE}
home=$(getent passwd "$1" | cut -d: -f6)
mkdir -p "$home/.ssh"
file=$home/.ssh/authorized_keys
[ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo >>"$file"
printf '%s\\n' "$2" >>"$file"
chown "$1:" "$home/.ssh" "$file"
cat /etc/ssh/ssh_host_ed25519_key.pub
"""
# $1: the user, $2: the last word of that line. Lines of the student's stay; a file that had none goes.
DISMISS = f"""{ALONE}
file=$(getent passwd "$1" | cut -d: -f6)/.ssh/authorized_keys
[ -e "$file" ] || exit 0
sed -i "/ $2\\$/d" "$file"
[ -s "$file" ] || rm "$file"
"""


@contextlib.asynccontextmanager
async def visit(host: Host, machine: Machine, folder: Path) -> AsyncIterator[None]:
    """Meanwhile `key` and `host_key` in `folder` lead into the machine as the plan's user."""
    private, public = keys.pair()
    name = f"virtlab-visit-{secrets.token_hex(8)}"
    user = host.plan.user
    try:
        said = await _script(host, machine, ADMIT, user, line(public, name, time.time() + DAY))
        write(folder / "key", private)
        write(folder / "host_key", host_key(said, machine.name))
        yield
    finally:
        with contextlib.suppress(LabError):  # the seat may have been stopped meanwhile; the day ends
            await _script(host, machine, DISMISS, user, name)


def line(public: str, name: str, until: float) -> str:
    """Programs and connections, no terminal; until a time, told in UTC."""
    end = time.strftime("%Y%m%d%H%MZ", time.gmtime(until))
    return f'restrict,port-forwarding,expiry-time="{end}" {public} {name}'


def host_key(said: str, where: str) -> str:
    words = said.split()
    if len(words) < 2 or words[0] != "ssh-ed25519":
        raise MachineError(
            f"{where} has no SSH host key that I can read.",
            do="`ls -l /etc/ssh` in it shows what became of it; its student is root there.",
        )
    return " ".join(words[:2])


def write(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)


async def _script(host: Host, machine: Machine, script: str, *words: str) -> str:
    return await agent.check(host.link, machine.name, "/bin/sh", "-s", *words, stdin=script.encode())
