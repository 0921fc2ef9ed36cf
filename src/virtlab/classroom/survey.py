"""What a class's machines have, asked before anything is built there: over SSH, with nothing but a shell."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from virtlab.classroom.inventory import Class
from virtlab.classroom.machines import Machine
from virtlab.hub.placement import Host

SECONDS = 20  # for a machine to answer
# The disk is that of the folder where the seats' disks will be, or of the nearest one above it.
ASK = """
place=/var/lib/virtlab/pool; while [ ! -d "$place" ]; do place=${place%/*}; done
cat /proc/meminfo; echo load $(cat /proc/loadavg); echo cpus $(nproc)
df -Pm "$place/" | tail -n 1 | sed 's/^/disk /'
stat -f -c 'blocks %S %f %a' "$place/"
echo addresses $(ip -o -4 address show scope global 2>/dev/null | awk '{sub("/.*", "", $4); print $4}')
echo nets $(ip -4 route show 2>/dev/null | awk '$1 ~ "/" {print $1}')
echo guests $(cat /proc/[0-9]*/comm 2>/dev/null | grep -c ^qemu-system)
found=/var/lib/virtlab/host.d/kvm_host.json
if grep -qs '"domain_type": "kvm"' $found; then echo kvm yes
elif [ -e $found ] || [ ! -c /dev/kvm ]; then echo kvm no
else echo kvm maybe; fi
"""


@dataclass(frozen=True)
class Look:
    """What was seen of one machine."""

    machine: Machine
    host: Host | None = None
    guests: int = 0  # virtual machines that run there already
    kvm: str = ""  # yes, no, or maybe: nobody has tried yet
    why: str = ""  # it could not be asked
    addresses: tuple[str, ...] = ()  # its own
    reserved_mb: int = 0  # of the disk, what only root may write
    nets: tuple[str, ...] = ()  # to which it knows a way


def look(of: Class) -> list[Look]:
    """Every KVM host, all at once."""
    far = [one for one in of.hosts if not one.is_local]
    answers = _ask_here(one for one in of.hosts if one.is_local) | (_ask_there(of, far) if far else {})
    return [_look(one, of, *answers.get(one.name, ("", "Ansible said nothing about it"))) for one in of.hosts]


Answers = dict[str, tuple[str, str]]  # by machine: what it said, or why it did not


def _ask_here(machines: Iterable[Machine]) -> Answers:
    answers = {}
    for one in machines:
        done = subprocess.run(["sh", "-c", ASK], capture_output=True, text=True, timeout=SECONDS, check=False)
        answers[one.name] = (done.stdout, "" if done.returncode == 0 else done.stderr.strip())
    return answers


def _ask_there(of: Class, machines: Iterable[Machine]) -> Answers:
    """By Ansible, because hosts.yml is its inventory: users, ports, jump hosts and keys are what it says."""
    from virtlab import paths

    names = [one.name for one in machines]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryDirectory(prefix="virtlab-look-") as folder:
        command = [
            str(Path(sys.prefix) / "bin/ansible"), ",".join(names), "-i", str(of.hosts_file), "-f", "20",
            "-T", str(SECONDS), "-t", folder, "-m", "ansible.builtin.raw", "-a", ASK,
        ]  # fmt: skip
        limit = SECONDS * (2 + len(names) // 20)
        with contextlib.suppress(subprocess.TimeoutExpired):  # whoever answered has a file
            subprocess.run(
                command, env=environment, timeout=limit, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return {name: _answer(Path(folder) / name) for name in names}


def _answer(file: Path) -> tuple[str, str]:
    try:
        said = json.loads(file.read_text())
    except (OSError, ValueError):
        return "", f"it did not answer within {SECONDS} seconds"
    if said.get("rc") == 0:
        return str(said.get("stdout", "")), ""
    why = str(said.get("msg") or said.get("stderr") or said.get("stdout") or "it did not say why")
    return "", " ".join(why.split()).removeprefix("Task failed: ").rstrip(".")


def _look(machine: Machine, of: Class, said: str, why: str) -> Look:
    if why:
        return Look(machine, why=why)
    facts = _facts(said)
    try:
        host = Host(
            machine.name, machine.uri(of.hub),
            memory_mb=int(facts["MemTotal:"][0]) // 1024,
            free_mb=int(facts["MemAvailable:"][0]) // 1024,
            disk_free_mb=int(facts["disk"][3]),
            cpus=int(facts["cpus"][0]),
            load=float(facts["load"][0]),
            seats=0,
            emulated=facts["kvm"][0] == "no",
        )  # fmt: skip
        kvm, addresses, nets = (
            facts["kvm"][0],
            *(tuple(facts.get(what, ())) for what in ("addresses", "nets")),
        )
        size, free, available = map(int, facts["blocks"])
        reserved = (free - available) * size >> 20
        guests = int(facts["guests"][0])
        return Look(machine, host, guests, kvm, addresses=addresses, reserved_mb=reserved, nets=nets)
    except (KeyError, IndexError, ValueError):
        return Look(machine, why="it answered something else than a Linux machine does")


def _facts(said: str) -> Mapping[str, list[str]]:
    return {words[0]: words[1:] for line in said.splitlines() if (words := line.split())}


def no_way(machine: Machine, hub: Machine) -> str:
    """Why the hub, which runs as whoever called this, would not get to a host's libvirt; else nothing."""
    from virtlab import root

    uri = machine.uri(hub)
    if not uri.startswith("qemu+ssh://"):
        return ""
    target = f"ssh://{uri.removeprefix('qemu+ssh://').removesuffix('/system')}"
    who = root.caller().pw_name
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={SECONDS}", target, "true"]
    if who != "root":
        command = ["runuser", "-u", who, "--", *command]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=2 * SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"`ssh {target}` did not answer within {2 * SECONDS} seconds"
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip().splitlines() or ["it did not say why"])[-1].rstrip(".")
    return f"the hub will run as {who}, and as {who} `ssh {target}` says: {said}"
