"""A hub whose seats are guests on the tests' KVM hosts, and a student of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import requests
import seatlab
from classhub import ClassHub, running, until
from kvmhosts import KvmHost

from virtlab.hub import machines
from virtlab.hub.plan import Plan

SECONDS = 900  # for a start: emulated, with whatever else this machine does


def hub_of(
    folder: Path, plan: Plan, hosts: Iterable[KvmHost], board_port: int = 0, **more: Any
) -> AbstractContextManager[ClassHub]:
    """Runs as long as it is open; `more` goes to the spawner. `board_port`: if seats may report there."""
    size = plan.size
    spawner = {
        "plan": {
            "name": plan.name, "image": plan.image, "user": plan.user, "python": plan.python,
            "size": {"memory_mb": size.memory_mb, "vcpus": size.vcpus, "disk_mb": size.disk_mb},
            "hub": {"address": seatlab.HUB.address, "port": seatlab.HUB.port},
            "doors": [{"address": one.address, "port": one.port} for one in plan.doors],
        },
        "sites": [
            {"name": one.name, "uri": one.uri, "subnet": one.subnet, "emulated": True} for one in hosts
        ],
        "poll_interval": 5,
    }  # fmt: skip
    config = {"SeatSpawner": spawner | more, "JupyterHub": {"log_level": "INFO"}}
    return running(
        folder, spawner_class="virtlab.hub.spawner.SeatSpawner", seat_address=seatlab.HUB.address,
        hub_port=seatlab.HUB.port, config=config, **({"board_port": board_port} if board_port else {}),
    )  # fmt: skip


class Student:
    def __init__(self, hub, name):
        self.hub, self.name, self.lab = hub, name, hub.data.secret("lab")
        self.path = f"hub/api/users/{name}"
        hub.api(self.path, self.lab, "POST")

    def about(self):
        return self.hub.api(self.path, self.lab).json()

    def start(self, **options):
        """The messages that the student's page shows until the seat is there, or has failed."""

        def asked():
            answer = self.hub.api(f"{self.path}/server", self.lab, "POST", data=json.dumps(options))
            return "pending" not in answer.text or answer.status_code in (201, 202)

        until(asked, 60)  # what was there before may still be on its way down
        said = []
        url = f"{self.hub.url}/{self.path}/server/progress"
        rights = {"Authorization": f"token {self.lab}"}
        with requests.get(
            url, stream=True, timeout=SECONDS, verify=str(self.hub.ca), headers=rights
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith(b"data:"):
                    said.append(json.loads(line[5:]))
                    if said[-1].get("ready") or said[-1].get("failed"):
                        return said
        raise AssertionError(said)

    def answers(self):
        """JupyterLab of the seat, through the hub's own address."""
        found = self.hub.api(f"user/{self.name}/api", self.lab)
        return found.status_code == 200 and "version" in found.text

    def is_on(self):
        return bool(self.about()["server"])


def seat_of(hosts, do, student):
    for host in hosts.values():
        if machine := do(machines.of(host, student.name)):
            return host, machine
    raise AssertionError(f"{student.name} has no machine.")
