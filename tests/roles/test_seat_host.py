"""A KVM host for seats: in a network of its own, so that this machine's rules stay as they are."""

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from converge import Converged, converge

HOOK = Path("/etc/libvirt/hooks/network.d/class-roletest")
LAID = [HOOK, Path("/etc/modules-load.d/virtlab-seats.conf"), Path("/etc/sysctl.d/60-virtlab-seats.conf")]
LIBC, NEW_NETWORK = ctypes.CDLL(None), 0x40000000  # os.unshare came with Python 3.12
SWITCH = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")

pytestmark = pytest.mark.host


class Role:
    """`seat_host` with libvirt as it is here, and a state of its own."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.variables = {
            "virtlab_state_dir": state, "seat_host_network": "class-roletest",
            "seat_host_bridge": "vlroletest", "seat_host_subnet": "10.150.77.0/24",
            "seat_host_hub": "192.0.2.9", "seat_host_libvirt": False,
        }  # fmt: skip

    def run(self, *more: str, **variables: object) -> Converged:
        return converge("seat_host", self.variables | variables, *more)


@pytest.fixture(scope="module")
def role() -> Iterator[Role]:
    """In a namespace: rules of FORWARD and what the kernel does with bridges are each network's own."""
    if any(file.exists() for file in LAID[1:]):
        pytest.fail("A class lives on this machine, and these files are its own: `lab classroom down` first.")
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    assert LIBC.unshare(NEW_NETWORK) == 0
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    try:
        with tempfile.TemporaryDirectory(prefix="virtlab-seats-", dir="/var/lib") as state:
            one = Role(state)
            yield one
            one.run(seat_host_state="absent")
    finally:
        assert LIBC.setns(outside, NEW_NETWORK) == 0
        os.close(outside)


def rules() -> list[str]:
    said = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=True).stdout
    return said.splitlines()


def test_check_mode_changes_nothing(role: Role) -> None:
    before = SWITCH.read_text() if SWITCH.exists() else ""
    assert role.run("--check").changed
    assert not any(file.exists() for file in LAID)
    assert (SWITCH.read_text() if SWITCH.exists() else "") == before


def test_the_way_is_open_and_the_filter_sees_what_bridges_pass_on(role: Role) -> None:
    with suppress(OSError):
        SWITCH.write_text("0")
    assert role.run().changed
    assert SWITCH.read_text().strip() == "1"
    found = rules()
    # The hub comes in before libvirt's NAT refuses it; seats go out behind libvirt's filter.
    assert found[1] == "-A FORWARD -s 192.0.2.9/32 -d 10.150.77.0/24 -j ACCEPT"
    assert found[-2:] == [
        "-A FORWARD -i vlroletest -j ACCEPT",
        "-A FORWARD -o vlroletest -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]


def test_a_second_run_changes_nothing(role: Role) -> None:
    before = rules()
    assert role.run().changed == 0
    assert rules() == before


def test_libvirt_opens_and_closes_the_way_with_its_network_and_only_with_its_own(role: Role) -> None:
    before = rules()
    subprocess.run([HOOK, "default", "stopped", "end", "-"], check=True)
    assert rules() == before
    subprocess.run([HOOK, "class-roletest", "stopped", "end", "-"], check=True)
    assert rules() == ["-P FORWARD ACCEPT"]
    subprocess.run([HOOK, "class-roletest", "started", "begin", "-"], check=True)
    assert sorted(rules()) == sorted(before)


def test_a_hub_on_the_same_machine_needs_no_way_in(role: Role) -> None:
    subprocess.run([HOOK, "class-roletest", "stopped", "end", "-"], check=True)
    assert role.run(seat_host_hub="").changed
    assert not [rule for rule in rules() if "192.0.2.9" in rule]


def test_the_undo(role: Role) -> None:
    assert role.run("--check", seat_host_state="absent").changed
    assert all(file.exists() for file in LAID)
    assert role.run(seat_host_state="absent").changed
    assert not any(file.exists() for file in LAID)
    assert rules() == ["-P FORWARD ACCEPT"]
    assert SWITCH.read_text().strip() == "0"
    assert not list(Path(role.state).iterdir())
    assert role.run(seat_host_state="absent").changed == 0
