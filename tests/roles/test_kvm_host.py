"""libvirt's network and pool: a second set with other names, so that the standing one stays as it is."""

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import libvirt
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVICE = Path("/dev/kvm")
SOMEBODY = "vmtest-user"

pytestmark = pytest.mark.host


class Role:
    def __init__(self, folder):
        self.report = folder / "kvm_host.json"
        self.pool = folder / "pool"
        self.variables = {
            "kvm_host_network": "vmtest", "kvm_host_bridge": "virbr-vmtest", "kvm_host_pool": "vmtest",
            "kvm_host_pool_path": str(self.pool), "kvm_host_report": str(self.report),
            "kvm_host_users": [SOMEBODY], "kvm_host_daemons": False,
        }

    def converge(self, *more, **variables):
        """Run the role; the recap's counters."""
        playbook = Path(sys.executable).with_name("ansible-playbook")
        given = json.dumps(self.variables | variables)
        done = subprocess.run([playbook, "tests/roles/kvm_host.yml", "-e", given, *more],
                              cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        recap = done.stdout.partition("PLAY RECAP")[2]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


@pytest.fixture(scope="module")
def connection():
    link = libvirt.open("qemu:///system")
    yield link
    link.close()


@pytest.fixture(scope="module")
def role(tmp_path_factory, connection):
    folder = tmp_path_factory.mktemp("kvm")
    for path in (folder, *list(folder.parents)[:2]):
        path.chmod(0o755)       # QEMU's user must get through
    subprocess.run(["useradd", "--no-create-home", SOMEBODY], check=False, capture_output=True)
    before = DEVICE.stat() if DEVICE.exists() else None
    one = Role(folder)
    yield one
    one.converge(kvm_host_state="absent")
    subprocess.run(["userdel", SOMEBODY], check=False, capture_output=True)
    if before:
        os.chown(DEVICE, before.st_uid, before.st_gid)
        DEVICE.chmod(before.st_mode & 0o7777)


def names(connection):
    return ([one.name() for one in connection.listAllNetworks()]
            + [one.name() for one in connection.listAllStoragePools()])


def test_check_mode_makes_nothing(role, connection):
    assert role.converge("--check")["changed"]
    assert "vmtest" not in names(connection)
    assert not role.report.exists()
    assert not role.pool.exists()


def test_a_network_and_a_pool_of_its_own(role, connection):
    others = set(names(connection))
    if DEVICE.exists():
        os.chown(DEVICE, 0, 0)
        DEVICE.chmod(0o600)     # as some machines have it: libvirt then asks QEMU anew at every question
    assert role.converge()["changed"]
    network, pool = connection.networkLookupByName("vmtest"), connection.storagePoolLookupByName("vmtest")
    assert network.isActive() and network.autostart()
    assert pool.isActive() and pool.autostart()
    assert set(names(connection)) == others | {"vmtest"}
    assert network.bridgeName() == "virbr-vmtest"
    if DEVICE.exists():
        assert DEVICE.stat().st_mode & 0o777 == 0o660
    found = json.loads(role.report.read_text())
    assert found["domain_type"] in ("kvm", "qemu")
    assert found["why"]
    # The wanted network is the standing lab's: the next free one was taken.
    taken = [one for one in connection.listAllNetworks() if f"'{found['gateway']}'" in one.XMLDesc()]
    assert [one.name() for one in taken] == ["vmtest"]


def test_an_ordinary_user_can_use_it(role):
    user = pwd.getpwnam(SOMEBODY)
    done = subprocess.run(["virsh", "-c", "qemu:///system", "net-info", "vmtest"],
                          capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]},
                          user=user.pw_uid, group=user.pw_gid,
                          extra_groups=os.getgrouplist(SOMEBODY, user.pw_gid))
    assert "Active:         yes" in done.stdout, done.stderr


def test_other_firewalls_do_not_cut_the_bridge_off(role):
    rules = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=True).stdout
    assert "-A FORWARD -i virbr-vmtest -j ACCEPT" in rules


def test_a_second_run_changes_nothing(role):
    assert role.converge()["changed"] == 0


def test_what_lost_its_configuration_gets_it_again(role, connection):
    connection.networkLookupByName("vmtest").undefine()     # it runs on until somebody stops it
    pool = connection.storagePoolLookupByName("vmtest")
    written = pool.XMLDesc()
    pool.destroy()
    pool.undefine()
    connection.storagePoolCreateXML(written)
    assert role.converge()["changed"] == 1
    assert connection.networkLookupByName("vmtest").isPersistent()
    assert connection.storagePoolLookupByName("vmtest").isPersistent()
    assert role.converge()["changed"] == 0


def test_what_was_stopped_is_started_again_on_the_same_subnet(role, connection):
    before = json.loads(role.report.read_text())["subnet"]
    connection.networkLookupByName("vmtest").destroy()
    connection.storagePoolLookupByName("vmtest").destroy()
    assert role.converge()["changed"] == 1
    assert connection.networkLookupByName("vmtest").isActive()
    assert connection.storagePoolLookupByName("vmtest").isActive()
    assert json.loads(role.report.read_text())["subnet"] == before


def test_the_undo_takes_guests_of_the_pool_along_and_nothing_else(role, connection):
    pool = connection.storagePoolLookupByName("vmtest")
    pool.createXML("<volume><name>disk</name><capacity unit='MiB'>1</capacity></volume>")
    connection.defineXML(
        "<domain type='qemu'><name>vmtest-guest</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
        f"<devices><disk type='file'><source file='{role.pool}/disk'/><target dev='vda'/></disk></devices>"
        "</domain>")
    others = {one.name() for one in connection.listAllDomains()} - {"vmtest-guest"}
    assert role.converge(kvm_host_state="absent")["changed"]
    assert "vmtest" not in names(connection)
    assert {one.name() for one in connection.listAllDomains()} >= others
    assert "vmtest-guest" not in {one.name() for one in connection.listAllDomains()}
    assert not role.pool.exists()
    assert not role.report.exists()
    groups = subprocess.run(["id", "-nG", SOMEBODY], capture_output=True, text=True, check=True).stdout
    assert "libvirt" not in groups
    rules = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=True).stdout
    assert "virbr-vmtest" not in rules
    if DEVICE.exists():
        assert DEVICE.stat().st_mode & 0o777 == 0o600
    assert role.converge(kvm_host_state="absent")["changed"] == 0
