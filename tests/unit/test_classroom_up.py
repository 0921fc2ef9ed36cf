"""What a class is to be made of, before anything is made: subnets, doors, what the playbooks are told."""

from __future__ import annotations

import json
import os
import shutil
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from virtlab import paths, settings
from virtlab.classroom import image, inventory, layout, leaving, record
from virtlab.classroom.image import Image
from virtlab.classroom.survey import Look
from virtlab.commands import down as lab_down
from virtlab.commands.classroom import down, status, up
from virtlab.errors import MachineError, UsageError
from virtlab.hub.placement import Host
from virtlab.hub.plan import Plan, Site
from virtlab.render import Style

DISK = Image(Path("/x.qcow2"), "ab" * 32, 20480, "learner", "/opt/virtlab/.venv/bin/python")
HOSTS = """
all:
  children:
    hub: {hosts: {here: {ansible_connection: local, ansible_host: 127.0.0.9}}}
    kvm_hosts:
      hosts:
        here:
        kvm1: {ansible_host: 127.0.0.11}
        kvm2: {ansible_host: 127.0.0.12, ansible_user: debian, seat_subnet: 10.99.0.0/24}
"""


def a_class(folder: Path, hosts: str = "") -> inventory.Class:
    shutil.copytree(paths.ROOT / "inventory/classroom.example", folder)
    if hosts:
        (folder / "hosts.yml").write_text(hosts)
    return inventory.load(folder)


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "host", dict)


@pytest.fixture
def found(tmp_path: Path) -> inventory.Class:
    return a_class(tmp_path / "my-class", HOSTS)


def looks(found: inventory.Class, *silent: str) -> list[Look]:
    def one(machine: Any) -> Look:
        if machine.name in silent:
            return Look(machine, why="it is off")
        host = Host(machine.name, "", 16384, 15000, 99999, 8, 0.0, 0)
        own, nets = ("10.150.1.7", "192.0.2.1", "8.8.8.8"), ("192.0.2.0/24", "10.150.4.0/23")
        return Look(machine, host, kvm="yes", addresses=own, reserved_mb=7, nets=nets)

    return [one(machine) for machine in found.hosts]


@pytest.mark.parametrize(
    ("folder", "called"),
    [("my-class", "class-my-class"), ("CS 101 (autumn)", "class-cs-101-autumn"), ("default", "class-default"),
     ("a" * 40, "class-aaaaaaaaaaaaaa"), ("班", "class")],
)  # fmt: skip
def test_a_class_is_called_after_its_folder(folder: str, called: str) -> None:
    assert layout.name(Path("/x") / folder) == called
    assert Plan.of({"name": called, "size": {"memory_mb": 1, "vcpus": 1, "disk_mb": 1}}).name == called


def test_every_host_has_a_subnet_of_its_own_and_keeps_it(found: inventory.Class) -> None:
    made = layout.record(found, looks(found), DISK)
    subnets = {site["name"]: site["subnet"] for site in made.sites}
    # 10.150.1.0/24 is in use somewhere, and somebody knows a way to 10.150.4.0/23.
    assert subnets == {"here": "10.150.2.0/24", "kvm1": "10.150.3.0/24", "kvm2": "10.99.0.0/24"}
    more = replace(found, hosts=(*found.hosts, replace(found.hosts[1], name="kvm3")))
    assert layout.record(more, looks(more), DISK, made).sites[-1]["subnet"] == "10.150.6.0/24"
    fewer = replace(found, hosts=found.hosts[1:])
    again = layout.record(fewer, looks(fewer), DISK, made)
    assert [site["subnet"] for site in again.sites] == ["10.150.3.0/24", "10.99.0.0/24"]


def test_a_host_that_is_silent_stays_in_once_it_was_in(found: inventory.Class) -> None:
    first = layout.record(found, looks(found, "kvm1"), DISK)
    assert [site["name"] for site in first.sites] == ["here", "kvm2"]
    made = layout.record(found, looks(found), DISK)
    assert layout.record(found, looks(found, "kvm1"), DISK, made).sites == made.sites
    with pytest.raises(MachineError, match="None of"):
        layout.record(found, looks(found, "here", "kvm1", "kvm2"), DISK)


def test_the_record_is_a_plan_and_its_hosts(found: inventory.Class) -> None:
    made = layout.record(found, looks(found), DISK)
    plan = record.Record(**json.loads(json.dumps(made.__dict__))).made()
    assert plan.image == "golden-abababababab.qcow2"
    assert plan.forbidden == ("8.8.8.8",)
    assert {door.port for door in plan.doors} | {plan.hub.port if plan.hub else 0} == {8081, 8082}
    assert {host.site.uri for host in made.hosts().values()} == {
        "qemu:///system", "qemu+ssh://root@127.0.0.11/system", "qemu+ssh://debian@127.0.0.12/system"
    }  # fmt: skip
    assert made.hosts()["kvm1"].site.reserved_mb == 7
    assert [host.site.peer for host in made.hosts().values()] == ["127.0.0.9", "127.0.0.11", "127.0.0.12"]


def test_where_the_seats_reach_the_hub(found: inventory.Class, tmp_path: Path) -> None:
    sites = layout.record(found, looks(found), DISK).sites
    assert layout.seat_address(found, sites) == "127.0.0.9"
    assert layout.seat_address(replace(found, hub=replace(found.hub, address="")), sites) == "127.0.0.1"
    alone = a_class(tmp_path / "alone")
    assert layout.record(alone, looks(alone), DISK).plan["hub"]["address"] == "10.150.2.1"


def test_what_the_playbooks_are_told(found: inventory.Class) -> None:
    made = layout.record(found, looks(found), DISK)
    hosts = layout.host_variables(found, made)
    assert hosts["class_hosts"] == ["here", "kvm1", "kvm2"]
    assert hosts["class_sites"]["here"]["hub"] == ""
    assert hosts["class_sites"]["kvm1"]["hub"] == "127.0.0.9"
    hub = layout.hub_variables(found, made)
    assert hub["hub_routes"] == [
        {"subnet": "10.150.3.0/24", "via": "127.0.0.11"}, {"subnet": "10.99.0.0/24", "via": "127.0.0.12"}
    ]  # fmt: skip
    assert hub["hub_students"][1] == {
        "id": "s002",
        "name": "王小明",
        "email": "xiaoming@students.example.org",
    }
    traits = hub["class_config"]["SeatSpawner"]
    assert traits["warm"] == 1  # two for the class, three hosts
    assert Plan.of(traits["plan"]).name == "class-my-class"
    assert [Site(**site).name for site in traits["sites"]] == ["here", "kvm1", "kvm2"]
    assert traits["rescue"]
    json.dumps(hub)


def test_seats_pull_from_this_machines_registry_if_there_is_one(
    found: inventory.Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert layout.record(found, looks(found), DISK).made().registry is None
    monkeypatch.setattr(settings, "host", lambda: {"registry": {}})
    made = layout.record(found, looks(found), DISK)
    one = made.made().registry
    assert one and (one.address, one.endpoint) == ("127.0.0.9", "registry.class.test:5000")
    hub = layout.hub_variables(found, made)
    assert hub["class_registry"]
    assert hub["registry_open_endpoint"] == one.endpoint
    assert hub["registry_open_user"] == one.user


def test_libvirt_that_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    text = HOSTS.replace("kvm1: {", "kvm1: {libvirt_uri: 'qemu+unix:///system?socket=/x', ")
    found = a_class(tmp_path / "bare", text)
    made = layout.record(found, looks(found), DISK)
    assert made.bare == ["kvm1"]
    assert layout.host_variables(found, made)["class_hosts"] == ["here", "kvm2"]
    assert len(layout.routes(made)) == 1


def test_a_seats_disk_is_no_smaller_than_the_image(found: inventory.Class) -> None:
    with pytest.raises(UsageError, match="30000") as wrong:
        layout.record(found, looks(found), replace(DISK, virtual_mb=30000))
    assert "disk_mb: 30000" in wrong.value.do


def test_traits_are_put_together() -> None:
    both = layout.together({"A": {"x": 1, "y": 2}}, {"A": {"y": 3}, "B": 4})
    assert both == {"A": {"x": 1, "y": 3}, "B": 4}


# --- the disk
def test_a_disk_is_looked_at(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    with pytest.raises(UsageError, match="cannot read"):
        image.look(disk)
    disk.write_bytes(b"something else" * 10)
    with pytest.raises(UsageError, match="no qcow2"):
        image.look(disk)
    disk.write_bytes(b"QFI\xfb" + bytes(20) + (5 << 30).to_bytes(8, "big"))
    found = image.look(disk)
    assert (found.virtual_mb, found.user, found.python) == (5120, "learner", DISK.python)
    assert found.digest.startswith("b") or len(found.digest) == 64
    about = {"sha256": "cd" * 32, "size": disk.stat().st_size, "user": "ada", "kit": "/srv/kit"}
    disk.with_suffix(".json").write_text(json.dumps(about))
    assert image.look(disk) == Image(disk, "cd" * 32, 5120, "ada", "/srv/kit/.venv/bin/python")
    disk.with_suffix(".json").write_text(json.dumps(about | {"size": 1}))  # of another disk
    assert image.look(disk).user == "learner"


# --- what is there already
def options(**more: Any) -> Namespace:
    return Namespace(**({"forget": [], "yes": True, "image": None, "keep_disks": False} | more))


def test_another_class_has_to_go_first(found: inventory.Class, monkeypatch: pytest.MonkeyPatch) -> None:
    made = layout.record(found, looks(found), DISK)
    monkeypatch.setattr(record, "find", lambda: replace(made, plan={**made.plan, "name": "class-old"}))
    with pytest.raises(UsageError, match="another class"):
        up._old(options(), found)


def test_a_host_that_is_named_no_more_is_not_forgotten_silently(
    found: inventory.Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = layout.record(found, looks(found), DISK)
    monkeypatch.setattr(record, "find", lambda: made)
    fewer = replace(found, hosts=found.hosts[:2])
    with pytest.raises(UsageError, match="kvm2") as wrong:
        up._old(options(), fewer)
    assert "--forget kvm2" in wrong.value.do
    kept = up._old(options(forget=["kvm2"]), fewer)
    assert kept and [site["name"] for site in kept.sites] == ["here", "kvm1"]


def test_what_could_not_be_removed_stays_written_down(
    found: inventory.Class, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(record, "FOLDER", tmp_path / "record")
    monkeypatch.setattr(record, "FILE", tmp_path / "record/record.json")
    made = layout.record(found, looks(found), DISK)
    monkeypatch.setenv("SUDO_USER", "nobody")
    down._keep_record(made, True, {"kvm1"})
    if os.geteuid() == 0:
        assert record.FILE.owner() == record.FOLDER.owner() == "nobody", "the hub runs as whoever called"
    assert not record.load().is_down
    assert len(record.load().sites) == 3
    down._keep_record(made, True, set())
    assert record.load().is_down
    down._keep_record(made, False, {"kvm1"})
    assert [site["name"] for site in record.load().sites] == ["kvm1"]
    down._keep_record(made, False, set())
    assert record.find() is None
    assert down.run(options()).draw(Style()) == down.NOTHING


def test_lab_down_does_not_take_a_class_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "classroom").mkdir()
    (tmp_path / "classroom/record.json").touch()
    monkeypatch.setattr(paths, "STATE", tmp_path)
    monkeypatch.setattr(lab_down.root, "become", lambda *_: None)
    monkeypatch.setattr(lab_down, "play", lambda *_, **__: pytest.fail("It began."))
    with pytest.raises(MachineError, match="A class") as wrong:
        lab_down.run(options(only=[], purge=False))
    assert "`lab classroom down`" in wrong.value.do


# --- what stays of a class whose disks are kept
def test_disks_are_kept_with_all_they_build_upon() -> None:
    def volume(base: str = "") -> Any:
        backing = f"<backingStore><path>/pool/{base}</path></backingStore>" if base else ""
        return SimpleNamespace(XMLDesc=lambda _: f"<volume>{backing}</volume>")

    volumes = {
        "c-010.qcow2": volume("template-1.qcow2"), "c-010.before.snapshot": volume("old.qcow2"),
        "c-011.qcow2": volume("template-2.qcow2"),
        "template-1.qcow2": volume("golden-1.qcow2"), "template-1.memory": volume(),
        "template-1.ready": volume(),
        "template-2.qcow2": volume("golden-1.qcow2"), "template-2.ready": volume(),
        "golden-1.qcow2": volume(), "golden-1.verified": volume(),
        "golden-2.qcow2": volume(), "golden-2.verified": volume(), "old.qcow2": volume(), "closed": volume(),
    }  # fmt: skip
    gone = volumes.keys() - leaving._needed({"c-010"}, volumes)
    assert gone == {
        "c-011.qcow2", "template-2.qcow2", "template-2.ready", "golden-2.qcow2", "golden-2.verified", "closed"
    }  # fmt: skip


def test_what_is_in_a_pool_is_counted_by_kind() -> None:
    names = ("class-x-010.qcow2", "class-x-010.a.snapshot", "template-1-a.qcow2", "template-1-a.ready",
             "golden-1.qcow2", "golden-1.verified", "closed")  # fmt: skip
    kinds = Counter(leaving._kind("class-x", name) for name in names)
    assert {kind: number for kind, number in kinds.items() if kind} == {
        "disks": 1, "snapshots": 1, "templates": 1, "images": 1
    }  # fmt: skip


# --- told
def test_status_says_what_does_not_answer() -> None:
    text = status._hub({"up": False, "url": "", "why": "Connection refused"}, Style())
    assert "`lab classroom up`" in text
    hosts = [
        {"host": "kvm1", "why": "", "seats": 2, "warm": 1, "free": 3, "closed": True},
        {
            "host": "kvm2",
            "why": "no answer within 10 seconds",
            "seats": 0,
            "warm": 0,
            "free": 0,
            "closed": False,
        },
    ]
    shown = status._hosts(hosts, Style())
    assert "being emptied" in shown
    assert "kvm2: no answer within 10 seconds" in shown
