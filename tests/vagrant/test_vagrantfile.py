"""The Vagrantfile without a machine: valid for every provider, and every setting arrives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.vagrant.conftest import ROOT, Vagrant

from virtlab import __version__

PROVIDERS = ("virtualbox", "libvirt", "vmware_desktop", "parallels", "utm")


@pytest.fixture
def told(vagrant: Vagrant, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What the Vagrantfile tells a provider."""

    def ask(provider: str, **settings: str) -> dict[str, Any]:
        said = tmp_path / "told.json"
        own = {
            "REAL": str(ROOT / "Vagrantfile"),
            "TOLD": str(said),
            "VAGRANT_VAGRANTFILE": "tests/vagrant/Vagrantfile.told",
            "VAGRANT_DEFAULT_PROVIDER": provider,
        }
        done = vagrant("validate", "--ignore-provider", **own, **settings)
        assert done.returncode == 0, done.stdout + done.stderr  # valid, and the provider's block was run
        return dict(json.loads(said.read_text()))

    return ask


def jupyterlab(said: dict[str, Any]) -> dict[str, str]:
    (door,) = (one for one in said["networks"] if one["id"] == "jupyterlab")
    return dict(door)


def test_it_is_valid_as_it_is_with_the_providers_that_are_here(vagrant: Vagrant) -> None:
    done = vagrant("validate", VAGRANT_DEFAULT_PROVIDER="libvirt")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("provider", PROVIDERS)
def test_memory_processors_and_port_reach_the_provider(told: Any, provider: str) -> None:
    said = told(provider, VIRTLAB_VM_MEMORY="5120", VIRTLAB_VM_CPUS="3", VIRTLAB_VM_PORT="9888")
    assert "5120" in str(said["provider"])
    assert "3" in str(said["provider"])
    door = jupyterlab(said)
    assert (door["host"], door["host_ip"], door["guest"]) == ("9888", "127.0.0.1", "8888")
    assert door["auto_correct"] == "true"


@pytest.mark.parametrize("provider", ["virtualbox", "vmware_desktop", "parallels"])
@pytest.mark.parametrize("nested", ["true", "false"])
def test_nested_virtualization_where_the_provider_can(told: Any, provider: str, nested: str) -> None:
    said = str(told(provider, VIRTLAB_VM_NESTED=nested)["provider"])
    asked = any(word in said for word in ("--nested-hw-virt", "vhv.enable", "--nested-virt"))
    assert asked is (nested == "true")


def test_libvirt_has_a_network_and_a_disk_of_its_own(told: Any) -> None:
    said = told("libvirt", VIRTLAB_VM_DISK="30", VIRTLAB_VM_DRIVER="qemu")
    assert said["provider"]["management_network_name"] == "virtlab-laptop"
    assert said["provider"]["machine_virtual_size"] == "30"
    assert said["provider"]["cpu_model"] == "Nehalem"
    assert jupyterlab(said)["guest_ip"] == "127.0.0.1"  # it need not listen beyond it


def test_a_folder_for_the_work(told: Any, tmp_path: Path) -> None:
    assert "/srv/virtlab-work" not in told("virtualbox")["folders"]
    assert str(tmp_path) in told("virtualbox", VIRTLAB_VM_WORK=str(tmp_path))["folders"]["/srv/virtlab-work"]


def test_the_public_box_or_the_registered_one(told: Any, vagrant: Vagrant) -> None:
    assert told("libvirt")["box"] == "debian/bookworm64"
    assert told("libvirt", VIRTLAB_VM_BOX="mine")["box"] == "mine"
    there = vagrant.home / f"home/boxes/virtlab-{__version__}/0/libvirt/metadata.json"
    there.parent.mkdir(parents=True)
    there.write_text('{"provider": "libvirt"}')
    try:
        assert told("libvirt")["box"] == f"virtlab-{__version__}"
        assert told("libvirt", VIRTLAB_VM_BOX="public")["box"] == "debian/bookworm64"
        assert told("virtualbox")["box"] == "bento/debian-12"
    finally:
        shutil.rmtree(there.parents[2])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("MEMORY", "lots"), ("PORT", "http"), ("LABS", "some"), ("LANGUAGE", "fr"), ("NESTED", "maybe")],
)
def test_a_wrong_setting_is_named(vagrant: Vagrant, setting: str, value: str) -> None:
    done = vagrant("validate", VAGRANT_DEFAULT_PROVIDER="libvirt", **{f"VIRTLAB_VM_{setting}": value})
    assert done.returncode != 0
    assert f"{setting.lower()} is '{value}'. It must be" in done.stderr
    assert len(done.stderr.splitlines()) < 8
