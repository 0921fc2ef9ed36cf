"""What this kernel can do, tried where that leaves no trace (in a network namespace), else read."""

from __future__ import annotations

import gzip
import os
import platform
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from virtlab.doctor.finding import Finding, State, ask

GROUP = "kernel"


def probe() -> Iterator[Finding]:
    yield overlay()
    yield from links()
    yield nftables()
    yield ip_vs()
    yield vhost_net()


def overlay() -> Finding:
    if "overlay" in Path("/proc/filesystems").read_text().split() or feature("overlay", "OVERLAY_FS"):
        return Finding("overlay", GROUP, State.OK, "overlay file systems, which images' layers need.")
    return Finding(
        "overlay",
        GROUP,
        State.WARN,
        "No overlay file systems in this kernel.",
        "Docker falls back to copying whole layers (vfs): slow and large. Use a distribution's kernel.",
    )


def links() -> Iterator[Finding]:
    """Network devices: made in a new network namespace, which goes when the command ends."""
    for kind, needed, without in (
        ("bridge", True, "Docker's networks and the guests' network need them."),
        ("veth", True, "Containers are attached with them."),
        ("macvlan", False, "Labs do without it; only experiments with macvlan networks fail."),
        ("ipvlan", False, "Labs do without it; only experiments with ipvlan networks fail."),
    ):
        able = link(kind)
        if able is None:
            able = feature(kind, {"veth": "VETH", "bridge": "BRIDGE"}.get(kind, kind.upper()))
        if able:
            yield Finding(kind, GROUP, State.OK, f"{kind} network devices.")
        elif able is None:
            yield Finding(
                kind, GROUP, State.INFO, f"Nobody can tell whether this kernel has {kind} devices.", ""
            )
        else:
            yield Finding(
                kind,
                GROUP,
                State.FAIL if needed else State.INFO,
                f"No {kind} network devices in this kernel.",
                without,
            )


def link(kind: str) -> bool | None:
    """Whether such a device can be made; None when we cannot try."""
    pair = "ip link add vl0 type veth peer name vl1"
    script = {"veth": pair, "bridge": "ip link add vl0 type bridge"}.get(
        kind, f"{pair} || exit 99; ip link add link vl0 name vl2 type {kind}"
    )
    own = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    code, said = ask("unshare", *own, "sh", "-c", script)
    if code == 0:
        return True
    refused = "not supported" in said or "Unknown device type" in said
    return False if refused and code != 99 else None


def nftables() -> Finding:
    able = _nftables_answer()
    if able is None:
        able = feature("nf_tables", "NF_TABLES")
    if able:
        return Finding(
            "nftables", GROUP, State.OK, "nftables, which the firewall rules of Docker and libvirt use."
        )
    if able is None:
        return Finding(
            "nftables", GROUP, State.INFO, "Nobody but root can tell whether this kernel has nftables."
        )
    return Finding(
        "nftables",
        GROUP,
        State.WARN,
        "No nftables in this kernel.",
        "If Docker or libvirt cannot make networks: "
        "`update-alternatives --set iptables /usr/sbin/iptables-legacy`.",
    )


def _nftables_answer() -> bool | None:
    """Ask the kernel for its ruleset's generation number over netlink: an answer, or 'no such part'."""
    get_generation = (10 << 8) | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:  # NETLINK_NETFILTER
            netlink.settimeout(0.5)
            netlink.bind((0, 0))
            netlink.send(struct.pack("=IHHIIBBH", 20, get_generation, 1, 1, 0, 0, 0, 0))
            answer = netlink.recv(4096)
    except OSError:
        return None
    _, kind, _, _, _ = struct.unpack_from("=IHHII", answer)
    if kind != 2:  # NLMSG_ERROR
        return True
    (error,) = struct.unpack_from("=i", answer, 16)
    return None if error == -1 else False  # EPERM: we may not ask


def ip_vs() -> Finding:
    if Path("/proc/net/ip_vs").exists() or feature("ip_vs", "IP_VS"):
        return Finding("ip_vs", GROUP, State.OK, "ip_vs, for Swarm's virtual addresses.")
    return Finding(
        "ip_vs",
        GROUP,
        State.INFO,
        "No ip_vs in this kernel: Swarm's virtual addresses do not work.",
        "Nothing need be done: services with `--endpoint-mode dnsrr` and ports with `mode=host` work.",
    )


def vhost_net() -> Finding:
    if Path("/dev/vhost-net").exists() or feature("vhost_net", "VHOST_NET"):
        return Finding("vhost_net", GROUP, State.OK, "vhost_net, for fast networks of guests.")
    return Finding("vhost_net", GROUP, State.INFO, "No vhost_net: the guests' networks are slower.")


def feature(module: str, option: str) -> bool | None:
    """Whether the kernel has it, built in or as a module; None when there is nothing to read it from."""
    if Path("/sys/module", module).exists():
        return True
    known = False
    modules = Path("/lib/modules", platform.release())
    for listing in (modules / "modules.builtin", modules / "modules.dep"):
        if listing.exists():
            known = True
            if f"/{module}.ko" in listing.read_text().replace("-", "_"):
                return True
    config = kernel_config()
    if config is not None:
        return f"CONFIG_{option}=y" in config or (f"CONFIG_{option}=m" in config and known)
    return False if known else None


def kernel_config() -> set[str] | None:
    try:
        return set(gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().splitlines())
    except OSError:
        file = Path(f"/boot/config-{platform.release()}")
        return set(file.read_text().splitlines()) if file.exists() and os.access(file, os.R_OK) else None
