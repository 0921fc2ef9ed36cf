"""The machine itself: system, CPUs, memory, disk, cgroups, service manager, clock, locale, Python."""

from __future__ import annotations

import ctypes
import locale
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from virtlab import facts, paths, preflight
from virtlab.doctor.finding import Finding, State, names

GROUP = "machine"
LITTLE_MEMORY_MB = 800  # a guest, and a lab's containers
LITTLE_DISK_GB = 3.0


def probe() -> Iterator[Finding]:
    yield system()
    yield cpus()
    yield memory()
    yield from disks()
    yield cgroups()
    yield service_manager()
    yield clock()
    yield utf8()
    yield python()


def system() -> Finding:
    release = facts.release()
    name = release.get("PRETTY_NAME", "an unknown system")
    said = f"{name}, Linux {platform.release()}, {platform.machine()}."
    if (release.get("ID"), release.get("VERSION_ID")) in preflight.SUPPORTED:
        return Finding("system", GROUP, State.OK, said)
    known = names([f"{name.capitalize()} {version}" for name, version in sorted(preflight.SUPPORTED)])
    if shutil.which("apt-get"):
        return Finding(
            "system", GROUP, State.WARN, said, f"It is built for {known}; here it may work or not."
        )
    return Finding(
        "system",
        GROUP,
        State.FAIL,
        f"{said} There is no apt.",
        f"Use {known}, for instance in a virtual machine.",
    )


def cpus() -> Finding:
    count = len(os.sched_getaffinity(0))
    if count == 1:
        return Finding("cpus", GROUP, State.WARN, "1 CPU core.", "It works, slowly; two or more are better.")
    return Finding("cpus", GROUP, State.OK, f"{count} CPU cores.")


def memory() -> Finding:
    found = facts.memory()
    free, total = found.get("MemAvailable", 0), found.get("MemTotal", 0)
    said = f"{free} of {total} MiB of memory available."
    if total < preflight.MIN_MEMORY_GB * 1000:
        return Finding("memory", GROUP, State.FAIL, said, "Use a machine with 4 GB or more.")
    if free < LITTLE_MEMORY_MB:
        return Finding(
            "memory", GROUP, State.WARN, said, "Close other programs, or finish labs (`lab status`)."
        )
    return Finding("memory", GROUP, State.OK, said)


def disks() -> Iterator[Finding]:
    """One finding a file system, with all that we keep on it."""
    kept = [Path("/var/lib/docker"), paths.STATE, paths.CACHE, paths.data(), paths.workspace()]
    systems: dict[int, list[Path]] = {}
    for folder in kept:
        systems.setdefault(facts.room(folder)[0].stat().st_dev, []).append(folder)
    for number, folders in enumerate(systems.values()):
        free = facts.room(folders[0])[1] / preflight.GB
        said = f"{free:.1f} GB free for {names([paths.short(one) for one in folders])}."
        state, do = State.OK, ""
        if free < LITTLE_DISK_GB:
            state = State.FAIL if free < preflight.NEEDS_GB_AGAIN else State.WARN
            do = "Make room: `docker system df` and `du -xh / | sort -h | tail` show what is large."
        yield Finding("disk" if number == 0 else f"disk.{number + 1}", GROUP, state, said, do)


def cgroups() -> Finding:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return Finding("cgroups", GROUP, State.OK, "cgroup version 2.")
    if any((root / name).exists() for name in ("memory", "cpu", "pids")):
        return Finding("cgroups", GROUP, State.OK, "cgroup version 1; the labs handle both.")
    return Finding(
        "cgroups",
        GROUP,
        State.FAIL,
        "No cgroups are mounted at /sys/fs/cgroup.",
        "Containers need them: `mount -t cgroup2 none /sys/fs/cgroup`, or start the machine with systemd.",
    )


def service_manager() -> Finding:
    if Path("/run/systemd/system").is_dir():
        return Finding("services", GROUP, State.OK, "systemd: the services come back after a reboot.")
    return Finding(
        "services",
        GROUP,
        State.INFO,
        f"No systemd (PID 1 is {Path('/proc/1/comm').read_text().strip()}).",
        "The services are started directly; after a reboot run `./lab up` again.",
    )


def clock() -> Finding:
    now = time.time()
    newest = (paths.ROOT / "pyproject.toml").stat().st_mtime
    said = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(now))
    if now < newest - 86400:
        return Finding(
            "clock",
            GROUP,
            State.FAIL,
            f"The clock says {said}: that is before this project was put here.",
            "Set the clock; certificates are judged by it (`date -s …`, or switch time synchronization on).",
        )
    status = _clock_status()
    if status is None or not status & 0x40:  # STA_UNSYNC
        return Finding("clock", GROUP, State.OK, f"{said}.")
    return Finding("clock", GROUP, State.INFO, f"{said}; nothing keeps it synchronized.")


def _clock_status() -> int | None:
    """The kernel's own word on the clock (adjtimex, asked without changing anything)."""
    record = (
        ctypes.c_long * 64
    )()  # struct timex: modes = 0 only reads; status is the sixth word (x86_64, arm64)
    try:
        code = ctypes.CDLL(None).adjtimex(ctypes.byref(record))
    except (AttributeError, OSError):
        return None
    return None if code < 0 else int(record[5]) & 0xFFFFFFFF


def utf8() -> Finding:
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        return Finding(
            "locale",
            GROUP,
            State.FAIL,
            f"This machine does not know the locale {_wanted_locale()}.",
            "Use `export LC_ALL=C.UTF-8`, which every system has.",
        )
    encoding = locale.getlocale()[1] or "none"
    if encoding.upper().replace("-", "") == "UTF8":
        return Finding("locale", GROUP, State.OK, f"The locale is UTF-8 ({_wanted_locale() or 'C.UTF-8'}).")
    return Finding(
        "locale",
        GROUP,
        State.FAIL,
        f"The locale {_wanted_locale()} is not UTF-8; Ansible refuses to work with it.",
        "Use `export LC_ALL=C.UTF-8`.",
    )


def _wanted_locale() -> str:
    return next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "")


def python() -> Finding:
    said = f"Python {platform.python_version()} in {paths.short(Path(sys.prefix))}"
    if sys.prefix == sys.base_prefix:
        return Finding(
            "python", GROUP, State.WARN, f"{said}: not the project's own .venv.", "Call it as `./lab`."
        )
    if not (Path(sys.prefix) / ".complete").exists():
        return Finding(
            "python", GROUP, State.WARN, f"{said}: not completely installed.", "Any `./lab` command ends it."
        )
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return Finding(
            "python",
            GROUP,
            State.INFO,
            f"{said}; PYTHONDONTWRITEBYTECODE is set, so Ansible starts more slowly.",
        )
    return Finding("python", GROUP, State.OK, f"{said}.")
