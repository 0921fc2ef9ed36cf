"""Virtual machines: whether hardware virtualization really works, and libvirt."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from virtlab import paths, settings, virtualization
from virtlab.doctor.finding import Finding, State
from virtlab.errors import Unknown
from virtlab.seat import Seat

GROUP = "virtual machines"


def probe() -> Iterator[Finding]:
    record = settings.host().get("kvm_host", {})
    yield kvm(record)
    yield from device()
    yield from libvirt(record)


def kvm(record: dict[str, Any]) -> Finding:
    """What the role found by trying, when it has; else we try it now."""
    if record.get("domain_type") and record.get("why"):
        kept = (paths.HOST_D / "kvm_host.json").stat().st_mtime
        tried = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept))
        return _kvm(record["domain_type"], f"{record['why'].rstrip('.')} (tried by `lab up`, {tried}).", "")
    verdict = virtualization.try_kvm()
    tried = "" if verdict.domain_type == "unknown" else " (tried just now)"
    return _kvm(verdict.domain_type, f"{verdict.why.rstrip('.')}{tried}.", verdict.do)


def _kvm(domain_type: str, why: str, do: str) -> Finding:
    if domain_type == "kvm":
        kind = "Nested virtualization" if is_virtual() else "Hardware virtualization"
        return Finding("kvm", GROUP, State.OK, f"{kind} works. {why}")
    if domain_type == "qemu":
        said = f"No hardware virtualization: guests are emulated, and slower. {why}"
        return Finding("kvm", GROUP, State.INFO, said, do)
    return Finding("kvm", GROUP, State.INFO, why, do)


def is_virtual() -> bool:
    """Whether this machine is a guest itself, as its processor says."""
    return "hypervisor" in Path("/proc/cpuinfo").read_text(errors="replace").split()


def device() -> Iterator[Finding]:
    """If QEMU's user cannot open /dev/kvm, libvirt forgets what it learned: `define` then takes minutes."""
    if not virtualization.DEVICE.exists() or not shutil.which("libvirtd"):
        return
    status = virtualization.DEVICE.stat()
    mode = stat.S_IMODE(status.st_mode)
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    said = f"{virtualization.DEVICE} has mode {mode:04o}, group {group}"
    if (mode & 0o060 == 0o060 and group == "kvm") or mode & 0o006 == 0o006:
        yield Finding("kvm.device", GROUP, State.OK, f"{said}.")
        return
    yield Finding(
        "kvm.device",
        GROUP,
        State.WARN,
        f"{said}: libvirt's QEMU cannot open it; defining guests takes minutes.",
        "As root: `chgrp kvm /dev/kvm && chmod 0660 /dev/kvm`; `./lab up --only kvm_host` does it.",
    )


def libvirt(record: dict[str, Any]) -> Iterator[Finding]:
    built = bool(record)
    if not built and not shutil.which("libvirtd"):
        yield Finding("libvirt", GROUP, State.INFO, "libvirt is not installed.", "`./lab up` installs it.")
        return
    seat = Seat()
    try:
        connection = seat.libvirt
        version = connection.getLibVersion()
    except Unknown as error:
        yield Finding("libvirt", GROUP, State.FAIL if built else State.INFO, error.message, error.do)
        return
    except ImportError as error:
        yield Finding(
            "libvirt", GROUP, State.FAIL, f"Python cannot load libvirt: {error}.", "Run `./lab up` again."
        )
        return
    major, minor = version // 1_000_000, version // 1000 % 1000
    yield Finding("libvirt", GROUP, State.OK, f"libvirt {major}.{minor} answers at {connection.getURI()}.")
    if built:
        yield _active("network", record.get("network", ""), connection.listNetworks())
        yield _active("pool", record.get("pool", ""), connection.listStoragePools())
    yield from _group("libvirt")


def _active(what: str, name: str, running: list[str]) -> Finding:
    if name in running:
        return Finding(f"libvirt.{what}", GROUP, State.OK, f"The {what} '{name}' is active.")
    return Finding(
        f"libvirt.{what}",
        GROUP,
        State.FAIL,
        f"The {what} '{name}' is not active.",
        "Run `./lab up --only kvm_host`.",
    )


def _group(name: str) -> Iterator[Finding]:
    yield from membership(name, GROUP)


def membership(name: str, group: str) -> Iterator[Finding]:
    """An ordinary user must be in the group, and this session must know it (it learns of it at login)."""
    if os.geteuid() == 0:
        return
    try:
        entry = grp.getgrnam(name)
    except KeyError:
        return
    user = pwd.getpwuid(os.geteuid()).pw_name
    if entry.gr_gid in (*os.getgroups(), os.getegid()):
        yield Finding(f"group.{name}", group, State.OK, f"{user} is in the group {name}.")
    elif user in entry.gr_mem:
        yield Finding(
            f"group.{name}",
            group,
            State.WARN,
            f"{user} is in the group {name}, but this session does not know.",
            f"Log in again, or `newgrp {name}` in this terminal.",
        )
    else:
        yield Finding(
            f"group.{name}", group, State.WARN, f"{user} is not in the group {name}.", "Run `./lab up`."
        )
