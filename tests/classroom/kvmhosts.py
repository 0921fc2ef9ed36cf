"""KVM hosts on one machine: a libvirt of its own in namespaces of its own, reached by its socket.

    hub, 10.199.0.1 ── veth 10.199.<n>.1/30 ── 10.199.<n>.2  host n: libvirtd, QEMU, dnsmasq, bridge

The hosts reach each other through this machine, which passes on what goes from one veth to another.

Mounts, network, processes, host name and IPC are its own, so the machine's libvirt is neither needed nor
touched, and a host dies when its first process is killed. The kernel is shared.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path

HUB = "10.199.0.1"  # where the hub is for every host, whichever is up
PASS = ["-i", "vlt-up+", "-o", "vlt-up+", "-j", "ACCEPT"]  # from host to host
SPACES = ("mount", "net", "uts", "ipc", "pid")
# Runs as the first process in the new namespaces. $1: folder, $2: name
INSIDE = r"""
set -e
mount --make-rprivate /
hostname "$2"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for part in etc/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt run/libvirt; do
    mkdir -p "/$part" && mount --bind "$1/$part" "/$part"
done
mkdir -p /var/lib/virtlab
mount --bind "$1/virtlab" /var/lib/virtlab
ip link set lo up
until ip link show up0 >/dev/null 2>&1; do sleep 0.05; done
ip address add "$3.2/30" dev up0
ip link set up0 up
ip route add default via "$3.1"
echo 1 >/proc/sys/net/ipv4/ip_forward
[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
while :; do
    libvirtd --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirt/libvirtd.pid || sleep 0.5
done
"""

# What a role lays down on a host that is not the hub: the hub may open connections to the seats.
HOOK = """#!/bin/sh
[ "$2" = started ] && iptables -w -I FORWARD -s {hub} -d {subnet} -j ACCEPT
exit 0
"""
LIBVIRTD = """
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0770"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "{uuid}"
"""
# Logs go to files because there is no virtlogd; control groups of the machine are not in these namespaces.
QEMU = """
stdio_handler = "file"
cgroup_controllers = []
security_driver = "none"
migrate_tls_x509_cert_dir = "{pki}"
migrate_tls_x509_verify = 1
"""


class KvmHost:
    """One host, up as long as the object is open."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder / f"host{number}"
        self.number = number
        self.name = f"kvm{number}"
        self.prefix = f"10.199.{number}"
        self.subnet = f"10.150.{number}.0/24"
        self.socket = self.folder / "run/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self.hub = HUB
        self.pki = self.folder / "pki"  # certificates for seats that move, if a test makes some
        self._process: subprocess.Popen[bytes] | None = None

    def up(self) -> KvmHost:
        """Start it; the second time it comes up with the disks that it had, like after a power cut."""
        for part in (
            "var/lib/libvirt",
            "var/log/libvirt/qemu",
            "var/cache/libvirt",
            "run/libvirt",
            "virtlab",
            "pki",
        ):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        etc = self.folder / "etc/libvirt"
        if not etc.exists():
            shutil.copytree("/etc/libvirt/nwfilter", etc / "nwfilter")
            (etc / "libvirtd.conf").write_text(LIBVIRTD.format(uuid=uuid.uuid4()))
            (etc / "qemu.conf").write_text(QEMU.format(pki=self.pki))
            hook = etc / "hooks/network"
            hook.parent.mkdir()
            hook.write_text(HOOK.format(hub=self.hub, subnet=self.subnet))
            hook.chmod(0o755)
        shutil.rmtree(self.folder / "run/libvirt")
        (self.folder / "run/libvirt").mkdir()
        for parent in (self.folder, *self.folder.parents):  # QEMU's user has to get to the disks
            with suppress(PermissionError):
                parent.chmod(parent.stat().st_mode | 0o011)
        outer = f"vlt-up{self.number}"
        init = ["tini", "-s", "--"] if shutil.which("tini") else []
        with (self.folder / "libvirtd.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", *(f"--{space}" for space in SPACES), "--fork", "--kill-child",
                 *init, "sh", "-c", INSIDE, "sh", str(self.folder), self.name, self.prefix],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        first = self._first()
        subprocess.run(["ip", "link", "delete", outer], check=False, capture_output=True)
        for command in (
            f"ip link add {outer} type veth peer name up0 netns {first}",
            f"ip address add {self.prefix}.1/30 dev {outer}",
            f"ip link set {outer} up",
            f"ip address replace {HUB}/32 dev lo",
            f"ip route replace {self.subnet} via {self.prefix}.2 src {HUB}",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)
        if _rule("-C").returncode:
            _rule("-I")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        end = time.monotonic() + 30
        while not self.socket.exists():
            assert time.monotonic() < end and self._process.poll() is None, self.log()
            time.sleep(0.05)
        return self

    def _first(self) -> int:
        """The first process inside, as seen from outside, once its network is its own."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with suppress(OSError):
                if found := children.read_text().split():
                    return int(found[0])
            time.sleep(0.02)
        raise AssertionError(self.log())

    def log(self) -> str:
        return (self.folder / "libvirtd.log").read_text(errors="replace")[-3000:]

    def run(self, *command: str) -> str:
        """A command on the host, in its namespaces."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._first()), *(f"--{space}" for space in SPACES), *command],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout + done.stderr

    def kill_libvirtd(self) -> None:
        """Its guests go on; it is started again, as by systemd."""
        before = self.run("cat", "/run/libvirt/libvirtd.pid").strip()
        self.run("kill", "-9", before)
        end = time.monotonic() + 60
        while before == self.run("cat", "/run/libvirt/libvirtd.pid").strip() or "Id" not in self.run(
            "virsh", "-c", "qemu:///system", "list"
        ):
            assert time.monotonic() < end, self.log()
            time.sleep(0.2)

    def kill(self) -> None:
        """Like pulling the plug: nothing in it can say goodbye."""
        if self._process is None:
            return
        with suppress(ProcessLookupError, AssertionError):
            os.kill(self._first(), signal.SIGKILL)
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait(20)
        self._process = None
        subprocess.run(["ip", "link", "delete", f"vlt-up{self.number}"], check=False, capture_output=True)

    def __enter__(self) -> KvmHost:
        try:
            return self.up()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if not list(Path("/sys/class/net").glob("vlt-up*")):
            _rule("-D")
            subprocess.run(
                ["ip", "address", "delete", f"{HUB}/32", "dev", "lo"], check=False, capture_output=True
            )


def _rule(what: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["iptables", "-w", what, "FORWARD", *PASS], check=False, capture_output=True)
