#!/usr/bin/env python3
"""The memory of everything that `lab up` leaves running, as proportional set size. Needs root."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import processes, pss_mib, with_children

DAEMONS = {  # part: what its processes' command lines begin or end with
    "Docker Engine": r"(^|/)(dockerd|containerd)( |$)",
    "libvirt": r"(^|/)(libvirtd|virtlogd|virtlockd|virtqemud|virtnetworkd|virtstoraged)( |$)",
    "the guests' DNS": r"dnsmasq.*/virtlab\.conf",
    "JupyterLab": r"jupyter[- ]lab",
}


def containers() -> dict[str, int]:
    """The standing containers and their first processes."""
    shown = subprocess.run(
        ["docker", "ps", "--quiet", "--no-trunc", "--filter", "label=virtlab.role"],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    if not shown:
        return {}
    said = subprocess.run(
        ["docker", "inspect", "--format", "{{.Id}} {{.Name}} {{.State.Pid}}", *shown],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {}
    for line in said.splitlines():
        identity, name, pid = line.split()
        found[f"{name.strip('/')} {identity}"] = int(pid)
    return found


def standing_services() -> dict[str, float]:
    """MiB by part. A container counts with its shim; notebooks that learners run do not count."""
    tree = processes()
    parts: dict[str, set[int]] = {}
    for part, pattern in DAEMONS.items():
        roots = {pid for pid, (_, command) in tree.items() if re.search(pattern, command)}
        if part == "JupyterLab":
            roots = {pid for pid in roots if "ipykernel" not in tree[pid][1]}
        parts[part] = roots
    parts["Docker Engine"] |= {
        pid for pid, (parent, command) in tree.items()
        if parent in parts["Docker Engine"] and "docker-proxy" in command
    }  # fmt: skip
    for name, first in containers().items():
        short, identity = name.split()
        shims = {
            pid for pid, (_, command) in tree.items() if "containerd-shim" in command and identity in command
        }
        parts[short] = with_children({first}, tree) | shims
    found = {part: sum(map(pss_mib, pids)) for part, pids in parts.items()}
    return {part: size for part, size in found.items() if size}


if __name__ == "__main__":
    sizes = standing_services()
    for name, size in sorted(sizes.items(), key=lambda one: -one[1]):
        print(f"{size:8.1f} MiB  {name}")
    print(f"{sum(sizes.values()):8.1f} MiB  together")
