#!/usr/bin/python
"""The lab's own corner of libvirt: a network, a storage pool, who may use them, how guests run here."""

from __future__ import annotations

import grp
import ipaddress
import json
import os
import platform
import pwd
import subprocess
import sys
import xml.etree.ElementTree as ET
from hashlib import sha256
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: virtlab_libvirt
short_description: The lab's network and pool in libvirt, access to it, and the domain type that works here
description:
  - One module instead of a dozen tasks. Networks, pools and guests of other people are read, never changed.
  - The outcome, and what it takes to undo it, is kept in C(report).
options:
  state: {description: Whether all this is there., type: str, choices: [present, absent], default: present}
  network: {description: The network's name., type: str, required: true}
  bridge: {description: Its bridge., type: str, required: true}
  subnet: {description: Wanted; another free one is taken when it is in use., type: str, required: true}
  pool: {description: The pool's name., type: str, required: true}
  pool_path: {description: The pool's folder., type: path, required: true}
  users: {description: Who may use libvirt and KVM; root always may., type: list, elements: str, default: []}
  hook: {description: Text of the network hook that keeps other firewalls off., type: str, required: true}
  trial: {description: Source of the program that tries hardware virtualization., type: str, required: true}
  report: {description: Where the outcome is written., type: path, required: true}
"""

EXAMPLES = r"""
- name: The lab's network and pool
  virtlab_libvirt:
    network: virtlab
    bridge: virbr-lab
    subnet: 192.168.150.0/24
    pool: virtlab
    pool_path: /var/lib/virtlab/pool
    hook: ""
    trial: "{{ lookup('file', 'virtualization.py') }}"
    report: /var/lib/virtlab/host.d/kvm_host.json
"""

RETURN = r"""
did: {description: What was, or in check mode would be, changed., type: list, elements: str, returned: always}
report: {description: What was found and made., type: dict, returned: always}
"""

URI = "qemu:///system"
DEVICE = Path("/dev/kvm")
HOOKS = Path("/etc/libvirt/hooks/network.d")
GROUPS = ("libvirt", "kvm")
ARM = platform.machine() == "aarch64"
QEMU = Path("/usr/bin/qemu-system-aarch64" if ARM else "/usr/bin/qemu-system-x86_64")


def run(*command: str, **kwargs: Any) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, **kwargs).stdout


def tree(thing: Any) -> ET.Element:
    return ET.fromstring(thing.XMLDesc())  # noqa: S314  (libvirt's own words)


class Host:
    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.p, self.did = module, module.params, list[str]()
        self.path = Path(self.p["report"])
        self.report: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.undo: dict[str, Any] = self.report.setdefault("undo", {})
        self.hook = HOOKS / self.p["network"]

    def change(self, what: str) -> bool:
        """Note a change; whether it is to be made now."""
        self.did.append(what)
        return not self.module.check_mode

    def save(self) -> None:
        """Written before the change it describes, so that a killed run can still be undone."""
        text = json.dumps(self.report, indent=1) + "\n"
        if self.module.check_mode or (self.path.exists() and self.path.read_text() == text):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o644)
        new.replace(self.path)

    # --- access ---------------------------------------------------------------------------------------------
    def access(self) -> None:
        have = {group.gr_name: group for group in grp.getgrall()}
        for name in GROUPS:
            for user in self.p["users"]:
                if user == "root" or (name in have and user in have[name].gr_mem):
                    continue
                if self.change(f"{user} joins the group {name}"):
                    self.undo.setdefault("groups", []).append([user, name])
                    self.save()
                    run("gpasswd", "--add", user, name)
        if not DEVICE.exists() or "kvm" not in have:
            return
        now, gid = DEVICE.stat(), have["kvm"].gr_gid
        # When QEMU's user cannot open it, libvirt throws its capability cache away at every question.
        shut = now.st_mode & 0o060 != 0o060 or now.st_gid != gid
        if shut and self.change(f"{DEVICE}: group kvm may use it"):
            self.undo.setdefault("kvm", {"mode": now.st_mode & 0o7777, "uid": now.st_uid, "gid": now.st_gid})
            self.save()
            os.chown(DEVICE, now.st_uid, gid)
            DEVICE.chmod(0o660)

    # --- network and pool -----------------------------------------------------------------------------------
    def connect(self) -> Any:
        import libvirt  # here, because check mode works before it is there

        libvirt.registerErrorHandler(lambda *_: None, None)
        return libvirt.open(URI)

    def free_subnet(self, conn: Any) -> ipaddress.IPv4Network:
        taken = [ipaddress.ip_network(route["dst"], strict=False)
                 for route in json.loads(run("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
                 if route["dst"] != "default" and route.get("type") not in ("broadcast", "multicast")]
        for network in conn.listAllNetworks():
            for ip in tree(network).iter("ip"):
                if ip.get("family", "ipv4") == "ipv4":
                    mask = ip.get("netmask") or ip.get("prefix") or "24"
                    taken.append(ipaddress.ip_network(f"{ip.get('address')}/{mask}", strict=False))
        wanted = ipaddress.IPv4Network(self.p["subnet"])
        others = (ipaddress.IPv4Network(f"192.168.{n}.0/24") for n in range(151, 250))
        for candidate in (wanted, *others):
            if not any(candidate.overlaps(other) for other in taken if other.version == 4):
                return candidate
        return self.module.fail_json(
            msg=f"{wanted} is in use on this machine, and so is every 192.168.151–249.0/24. Give a "
                "free network with kvm_host_subnet, for example 10.150.0.0/24.")

    def network(self, conn: Any) -> None:
        name, bridge = self.p["network"], self.p["bridge"]
        network = next((n for n in conn.listAllNetworks() if n.name() == name), None)
        if network is None:
            subnet = self.free_subnet(conn)
            if not self.change(f"network {name} on {subnet}"):
                return
            # no-ping: dnsmasq otherwise waits three seconds before it gives an address away.
            network = conn.networkDefineXML(f"""
                <network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
                  <name>{name}</name><forward mode='nat'/><bridge name='{bridge}' stp='off' delay='0'/>
                  <ip address='{subnet[1]}' netmask='{subnet.netmask}'>
                    <dhcp><range start='{subnet[10]}' end='{subnet[250]}'/></dhcp></ip>
                  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
                </network>""")
        elif not network.isPersistent() and self.change(f"network {name} is kept"):
            conn.networkDefineXML(network.XMLDesc())    # /etc/libvirt was removed under a running one
        if not network.autostart() and self.change(f"network {name} starts with the host"):
            network.setAutostart(True)
        hook = self.p["hook"]
        if hook and (not self.hook.exists() or self.hook.read_text() != hook) and self.change(f"{self.hook}"):
            self.hook.parent.mkdir(parents=True, exist_ok=True)
            self.hook.write_text(hook)
            self.hook.chmod(0o755)
            if network.isActive():      # a daemon that runs has not seen the hook yet
                run(str(self.hook), name, "started", "begin", "-")
        if not network.isActive() and self.change(f"network {name} is started"):
            network.create()
            if hook:
                run(str(self.hook), name, "started", "begin", "-")
        ip = tree(network).find("ip")
        if ip is not None:
            gateway = ipaddress.IPv4Interface(f"{ip.get('address')}/{ip.get('netmask') or ip.get('prefix')}")
            self.report |= {"subnet": str(gateway.network), "gateway": str(gateway.ip)}

    def pool(self, conn: Any) -> None:
        name, path = self.p["pool"], Path(self.p["pool_path"])
        if not path.is_dir() and self.change(f"folder {path}"):
            path.mkdir(parents=True)
            path.chmod(0o711)       # QEMU's user must get through; only the owner lists
        pool = next((p for p in conn.listAllStoragePools() if p.name() == name), None)
        if pool is None:
            if not self.change(f"pool {name} in {path}"):
                return
            pool = conn.storagePoolDefineXML(
                f"<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>")
        elif not pool.isPersistent() and self.change(f"pool {name} is kept"):
            conn.storagePoolDefineXML(pool.XMLDesc())
        if not pool.autostart() and self.change(f"pool {name} starts with the host"):
            pool.setAutostart(True)
        if not pool.isActive() and self.change(f"pool {name} is started"):
            pool.create()
        self.report["pool_path"] = tree(pool).findtext("target/path")

    # --- how guests run -------------------------------------------------------------------------------------
    def virtualization(self) -> None:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line for line in lines if line.startswith("model name")), "")
        qemu = QEMU.stat() if QEMU.exists() else None
        asked = [cpu, platform.release(), qemu and [qemu.st_mtime, qemu.st_size], DEVICE.exists(),
                 self.p["trial"]]
        key = sha256(json.dumps(asked).encode()).hexdigest()[:16]
        if self.report.get("tried") != key and self.change("hardware virtualization is tried"):
            verdict = json.loads(run(sys.executable, "-", input=self.p["trial"], timeout=60))
            works = verdict["domain_type"] == "kvm"
            cpu_xml = ("<cpu mode='host-passthrough'/>" if works else
                       "<cpu mode='custom' match='exact' check='none'>"
                       f"<model>{'cortex-a72' if ARM else 'Nehalem'}</model></cpu>")
            self.report |= {
                "domain_type": "kvm" if works else "qemu", "why": verdict["why"], "tried": key,
                "machine": "virt" if ARM else "q35", "arch": platform.machine(), "cpu_xml": cpu_xml,
                "cpu": "host-passthrough" if works else "cortex-a72" if ARM else "Nehalem",
            }

    def present(self) -> None:
        self.access()
        self.report |= {"uri": URI} | {name: self.p[name] for name in ("network", "bridge", "pool")}
        self.virtualization()
        try:
            conn = self.connect()
        except Exception as error:      # libvirt's own type is not there when libvirt is not
            if not self.module.check_mode:
                self.module.fail_json(msg=f"libvirt does not answer at {URI}: {error}. Look at its log "
                                          "(`journalctl -u libvirtd` or /var/log/virtlab/libvirtd.log).")
            self.change(f"network {self.p['network']}")
            self.change(f"pool {self.p['pool']}")
        else:
            self.network(conn)
            self.pool(conn)
        self.save()

    # --- the undo -------------------------------------------------------------------------------------------
    def absent(self) -> None:
        try:
            conn = self.connect()
        except Exception:
            conn = None     # no libvirt, nothing of ours in it
        if conn:
            self.absent_guests(conn)
            pools, networks = conn.listAllStoragePools(), conn.listAllNetworks()
            for thing in [*(p for p in pools if p.name() == self.p["pool"]),
                          *(n for n in networks if n.name() == self.p["network"])]:
                if self.change(f"libvirt's {thing.name()} is removed"):
                    kept = thing.isPersistent()     # not when /etc/libvirt was removed under a running one
                    if thing.isActive():
                        thing.destroy()
                    if kept:
                        thing.undefine()
        if self.hook.exists() and self.change(f"{self.hook} is removed"):
            subprocess.run([self.hook, self.p["network"], "stopped", "end", "-"], check=False,
                           capture_output=True)
            self.hook.unlink()
        folder = Path(self.p["pool_path"])
        if folder.is_dir() and self.change(f"{folder} is removed"):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        self.absent_access()
        if self.path.exists() and self.change(f"{self.path} is removed"):
            self.path.unlink()

    def absent_access(self) -> None:
        for user, group in self.undo.get("groups", []):
            try:
                member = user in grp.getgrnam(group).gr_mem and bool(pwd.getpwnam(user))
            except KeyError:
                continue
            if member and self.change(f"{user} leaves the group {group}"):
                run("gpasswd", "--delete", user, group)
        before = self.undo.get("kvm")
        if before and DEVICE.exists() and self.change(f"{DEVICE} gets its old mode"):
            os.chown(DEVICE, before["uid"], before["gid"])
            DEVICE.chmod(before["mode"])

    def absent_guests(self, conn: Any) -> None:
        """Guests whose disk is in the pool cannot live without it."""
        folder = self.p["pool_path"].rstrip("/") + "/"
        for guest in conn.listAllDomains():
            sources = [source for disk in tree(guest).iterfind("devices/disk/source")
                       for source in disk.attrib.values()]
            if not any(s.startswith(folder) or s == self.p["pool"] for s in sources):
                continue
            if self.change(f"guest {guest.name()} is removed"):
                if guest.isActive():
                    guest.destroy()
                if guest.isPersistent():
                    # managed save, snapshot metadata, NVRAM, checkpoint metadata
                    guest.undefineFlags(1 | 2 | 4 | 16)


def main() -> None:
    text, folder = {"type": "str", "required": True}, {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "network": text, "bridge": text, "subnet": text, "pool": text, "pool_path": folder,
            "users": {"type": "list", "elements": "str", "default": []},
            "hook": text, "trial": text, "report": folder,
        },
        supports_check_mode=True,
    )
    host = Host(module)
    try:
        host.present() if module.params["state"] == "present" else host.absent()
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        module.fail_json(msg=f"`{' '.join(map(str, error.cmd))}` failed: {said}")
    except subprocess.TimeoutExpired as late:
        module.fail_json(
            msg=f"`{' '.join(map(str, late.cmd))}` did not end within {late.timeout:.0f} seconds.")
    except ImportError as error:
        module.fail_json(msg=f"The Python that Ansible uses here has no libvirt: {error}")
    except Exception as error:
        if type(error).__module__ != "libvirt":
            raise
        module.fail_json(msg=f"libvirt refused: {error}")
    module.exit_json(changed=bool(host.did), did=host.did, report=host.report)


if __name__ == "__main__":
    main()
