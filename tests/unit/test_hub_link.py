"""The door to a host that does not answer: nobody waits for it longer than they said."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

from virtlab.hub.hosts import HERE, Host
from virtlab.hub.placement import SeatSize
from virtlab.hub.plan import Plan, Site

ASK = """
import asyncio, sys
from virtlab.hub.link import HostDown, Link
link = Link("kvm9", sys.argv[1])
try:
    asyncio.run(link("list its guests", lambda connection: connection.listAllDomains(), 1.0))
except HostDown as error:
    print(error.message)
"""
PLAN = Plan("cs", SeatSize(1024, 1, 8192), pool_path="/")


def test_a_silent_host_is_told_and_the_command_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"qemu+tcp://127.0.0.1:{silent.getsockname()[1]}/system"
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", ASK, uri], capture_output=True, text=True, timeout=30, check=True
        )
    assert "no answer within 1 seconds" in done.stdout
    assert time.monotonic() - began < 10


def pool(capacity: int, free: int) -> SimpleNamespace:
    return SimpleNamespace(info=lambda: (2, capacity << 20, (capacity - free) << 20, free << 20))


def test_what_is_kept_for_root_is_nobodys_room() -> None:
    there = Site("kvm1", "qemu+ssh://root@kvm1/system", "10.150.1.0/24", reserved_mb=300)
    assert Host(PLAN, there)._writable(pool(1000, 800)) >> 20 == 500
    unknown = Site("kvm2", "qemu+ssh://root@kvm2/system", "10.150.2.0/24")
    assert Host(PLAN, unknown)._writable(pool(1000, 800)) >> 20 == 750
    system = os.statvfs("/")
    assert abs(Host(PLAN, Site("here", HERE, "10.150.3.0/24"))._writable(pool(1, 1))
               - system.f_bavail * system.f_frsize) < 1 << 30  # fmt: skip
