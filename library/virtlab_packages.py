#!/usr/bin/python
"""Debian packages: a quick look when all is there, a careful apt-get when it is not."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import NoReturn

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: virtlab_packages
short_description: Install Debian packages and keep a record of what was new
description:
  - Asks dpkg first, so a converged machine costs a fraction of a second instead of apt's two.
  - Repairs an interrupted dpkg run, waits for other package managers, refreshes a missing or old index.
  - Writes down every package that was not there before, dependencies included, for a later purge.
options:
  name:
    description: Packages. With C(state=absent) and no name, everything in the record.
    type: list
    elements: str
    default: []
  state:
    description: C(absent) purges only packages that the record lists; the machine's own packages stay.
    type: str
    choices: [present, absent]
    default: present
  record:
    description: The file that lists the packages this kit has installed, one a line.
    type: path
    default: /var/lib/virtlab/installed-packages
  index_max_age:
    description: Seconds after which the package index is fetched again before an installation.
    type: int
    default: 86400
"""

EXAMPLES = r"""
- name: Install the engine
  virtlab_packages:
    name: [docker.io, iptables]
"""

RETURN = r"""
packages:
  description: What was, or in check mode would be, installed or purged.
  type: list
  elements: str
  returned: always
"""

LISTS = Path("/var/lib/apt/lists")
APT = [
    "apt-get",
    "-y",
    "-o",
    "DPkg::Lock::Timeout=600",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
]
LIMIT = 3600  # seconds; an installation that takes longer hangs


def environment() -> dict[str, str]:
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C", NEEDRESTART_MODE="l")
    if not Path("/run/systemd/system").is_dir():
        # Init scripts fail in containers and take the installation down with them; in runlevel 1 nothing is
        # started. Our daemon role starts what is needed.
        env["RUNLEVEL"] = "1"
    return env


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        stdin=subprocess.DEVNULL,
    )


def installed(names: list[str]) -> set[str]:
    if not names:
        return set()
    out = run("dpkg-query", "--showformat", "${db:Status-Status} ${Package}\n", "--show", *names).stdout
    return {line.split()[1] for line in out.splitlines() if line.startswith("installed ")}


def read_record(path: Path) -> list[str]:
    return path.read_text().split() if path.is_file() else []


def write_record(path: Path, names: set[str]) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text("".join(f"{name}\n" for name in sorted(names)))
    fresh.chmod(0o644)
    fresh.replace(path)


def index_is_old(max_age: int) -> bool:
    if not any(LISTS.glob("*_Packages*")):
        return True
    touched = max(p.stat().st_mtime for p in (LISTS, LISTS / "partial") if p.exists())
    return time.time() - touched > max_age


def simulate(*arguments: str) -> tuple[set[str], set[str]] | None:
    """Which packages apt would newly install and which it would remove; None when it cannot tell."""
    result = run("apt-get", "--simulate", *arguments)
    if result.returncode:
        return None
    new = {m[1] for m in re.finditer(r"^Inst (\S+) (?!\[)", result.stdout, re.M)}
    gone = {m[1] for m in re.finditer(r"^(?:Remv|Purg) (\S+)", result.stdout, re.M)}
    return {n.split(":")[0] for n in new}, {n.split(":")[0] for n in gone}


def give_up(module: AnsibleModule, what: str, result: subprocess.CompletedProcess[str]) -> NoReturn:
    lines = (result.stderr + result.stdout).splitlines()
    said = [line for line in lines if line.startswith(("E:", "W:", "dpkg:"))]
    module.fail_json(
        msg=f"{what} failed: {' '.join(said[:4]) or (result.stderr or result.stdout).strip()[-400:]} "
        "Check that the machine reaches its package mirror (`apt-get update`) and that no other package "
        "manager is stuck, then run this again; it continues where it stopped.",
        stdout=result.stdout,
        stderr=result.stderr,
    )


def install(module: AnsibleModule, missing: list[str], record: Path) -> set[str]:
    if index_is_old(module.params["index_max_age"]):
        run(*APT, "update")  # a mirror that is away matters only when the installation fails
    wanted = ["--no-install-recommends", "install", *missing]
    for attempt in (1, 2):
        plan = simulate(*wanted)
        new = plan[0] if plan else set(missing)
        if plan and plan[1]:
            module.fail_json(
                msg=f"Installing {' '.join(missing)} would remove {' '.join(sorted(plan[1]))}, which this "
                "machine already has. Nothing was changed. Remove or replace these yourself if you agree, "
                "then "
                "run this again."
            )
        if plan:  # written before the work: a killed run must not lose it
            write_record(record, {*read_record(record), *new})
        result = run(*APT, *wanted)
        if not result.returncode:
            return new
        if attempt == 1:  # an interrupted dpkg, half-installed packages, an index out of date
            run("dpkg", "--configure", "-a")
            run(*APT, "--fix-broken", "install")
            run(*APT, "update")
    return give_up(module, f"Installing {' '.join(missing)}", result)


def purge(module: AnsibleModule, names: list[str], record: Path) -> set[str]:
    recorded = set(read_record(record))
    ours = recorded & set(names) if names else recorded
    there = installed(sorted(ours))
    if module.check_mode or not ours:
        return there
    if there:
        plan = simulate("purge", *sorted(there))
        others = plan[1] - recorded if plan else set()
        if others:
            module.fail_json(
                msg=f"Purging what the kit installed would take {' '.join(sorted(others))} along, which "
                "somebody else installed. Nothing was removed. Remove these first, or keep the packages."
            )
        result = run(*APT, "purge", *sorted(there))
        if result.returncode:
            give_up(module, f"Purging {' '.join(sorted(there))}", result)
    rest = recorded - ours
    if rest:
        write_record(record, rest)
    else:
        record.unlink(missing_ok=True)
    return there


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "default": []},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "record": {"type": "path", "default": "/var/lib/virtlab/installed-packages"},
            "index_max_age": {"type": "int", "default": 86400},
        },
        supports_check_mode=True,
    )
    names, record = module.params["name"], Path(module.params["record"])
    try:
        if module.params["state"] == "absent":
            gone = purge(module, names, record)
            module.exit_json(changed=bool(gone), packages=sorted(gone))
        there = installed(names)
        missing = [name for name in names if name not in there]
        if not missing or module.check_mode:
            module.exit_json(changed=bool(missing), packages=missing)
        module.exit_json(changed=True, packages=sorted(install(module, missing, record)))
    except subprocess.TimeoutExpired as late:
        module.fail_json(
            msg=f"`{' '.join(late.cmd[:8])} …` did not end within {LIMIT // 60} minutes. Look for another "
            "package manager that holds the lock (`ps aux | grep -E 'apt|dpkg'`), then run this again."
        )


if __name__ == "__main__":
    main()
