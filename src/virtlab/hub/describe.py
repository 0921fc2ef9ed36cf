"""libvirt's descriptions of a plan (network, filter, pool) and of a guest: text only, nothing is called."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from virtlab.hub.plan import FIRST, LAST, PRIVATE, Door, Plan, Site

SPACE = "https://github.com/virtlab/seat"  # the name of our metadata in a guest's description
ROOM = 4096  # bytes a template's description is longer than a clone's: it is replaced in place
AGENT = "org.qemu.guest_agent.0"


@dataclass(frozen=True)
class Label:
    """What a guest carries in its metadata: the whole state of a seat beside its disk."""

    plan: str
    owner: str = ""  # "" is a warm one that nobody has yet
    address: str = ""
    base: str = ""  # the volume that its disk builds upon
    host_key: str = ""  # its SSH host key, public half
    serves: str = ""  # "yes" once a server was started in it
    going: str = ""  # the host it is being moved to
    coming: str = ""  # the host it is being moved from: what is here is not whole yet, and nobody's seat

    def xml(self) -> str:
        return self.bare().replace("<seat ", f"<s:seat xmlns:s={quoteattr(SPACE)} ", 1)

    def bare(self) -> str:
        """Without the name space, which libvirt adds itself where metadata is set alone."""
        return f"<seat {' '.join(f'{name}={quoteattr(value)}' for name, value in asdict(self).items())}/>"

    @classmethod
    def of(cls, description: ET.Element) -> Label | None:
        found = description.find(f"metadata/{{{SPACE}}}seat")
        if found is None:
            return None
        return cls(**{name: found.get(name, "") for name in cls.__dataclass_fields__})


def pool(plan: Plan) -> str:
    return (
        f"<pool type='dir'><name>{plan.pool}</name><target><path>{escape(plan.folder)}</path>"
        "<permissions><mode>0711</mode></permissions></target></pool>"
    )


def network(plan: Plan, site: Site) -> str:
    """Every slot has its address from the beginning, so that nothing need be changed for a seat."""
    seats = "\n".join(
        f"<host mac='{plan.mac(site, slot)}' ip='{site.address(slot)}'/>" for slot in range(FIRST, LAST + 1)
    )
    names = "".join(
        f"<host ip='{door.address}'><hostname>{escape(door.name)}</hostname></host>"
        for door in plan.every_door(site)
        if door.name
    )
    # no-ping: dnsmasq otherwise waits three seconds before it gives an address away.
    return f"""
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>{plan.name}</name>
  <forward mode='nat'/>
  <bridge name='{plan.bridge(site)}' stp='off' delay='0'/>
  <dns>{names}</dns>
  <ip address='{site.gateway}' netmask='{site.net.netmask}'><dhcp>{seats}</dhcp></ip>
  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
</network>"""


def seat_filter(plan: Plan, site: Site) -> str:
    """What a seat may send, whoever is root in it.

    Two layers. Ethernet (ebtables) knows no connections, but needs nothing of the host: own MAC and address
    only, and nothing to any private network but through a door. The numbers lie between clean-traffic's
    look at the address (-710) and its accepting (-650). IP (iptables) knows connections: the gateway is the
    host itself, and a seat that answers the hub from its server's port must not begin connections there.
    Every connection, and every datagram to a new port, takes a place in the host's table of them; when that
    is full, nobody's packets pass any more, so one seat gets only a part of it.
    """
    doors = plan.every_door(site)
    gateway = str(site.gateway)
    closed = [*PRIVATE, *plan.forbidden]
    open_here = sorted({gateway, *(door.address for door in doors)})
    ethernet = [_ether("accept", -690, address) for address in open_here]
    ethernet += [_ether("accept", -690, "255.255.255.255")]  # asking for an address
    ethernet += [_ether("drop", -680, network) for network in closed]
    return f"""
<filter name='{plan.filter}' chain='root'>
  <filterref filter='clean-traffic'/>
  {"".join(ethernet)}
  {"" if plan.outside else _ether("drop", -670, "0.0.0.0/0")}
  <rule action='drop' direction='out' priority='90'>
    <all state='NEW' connlimit-above='{plan.connections}'/>
  </rule>
  {"".join(_allow(door) for door in doors)}
  <rule action='accept' direction='out' priority='100'><udp dstportstart='67'/></rule>
  <rule action='accept' direction='out' priority='100'><udp dstipaddr='{gateway}' dstportstart='53'/></rule>
  {_allow(Door(gateway, 53))}
  <rule action='accept' direction='in' priority='100'><tcp dstportstart='{plan.port}'/></rule>
  <rule action='accept' direction='in' priority='100'><tcp dstportstart='22'/></rule>
  <rule action='accept' direction='in' priority='100'><icmp/></rule>
  {"".join(_refuse(network) for network in closed)}
  {_refuse("") if not plan.outside else "<rule action='accept' direction='out' priority='300'><all/></rule>"}
  <rule action='drop' direction='in' priority='300'><all/></rule>
</filter>"""


def _ether(action: str, priority: int, where: str) -> str:
    net = IPv4Network(where)
    return (
        f"<rule action='{action}' direction='out' priority='{priority}'>"
        f"<ip dstipaddr='{net.network_address}' dstipmask='{net.netmask}'/></rule>"
    )


def _allow(door: Door) -> str:
    return (
        "<rule action='accept' direction='out' priority='100'>"
        f"<tcp dstipaddr='{door.address}' dstportstart='{door.port}'/></rule>"
    )


def _refuse(where: str) -> str:
    """Refused, not dropped: a student sees at once that there is no way."""
    to = (
        f" dstipaddr='{IPv4Network(where).network_address}' dstipmask='{IPv4Network(where).netmask}'"
        if where
        else ""
    )
    return f"<rule action='reject' direction='out' priority='200'><all{to}/></rule>"


def disk(name: str, capacity: int, base: str) -> str:
    """A copy-on-write volume; its size as the guest sees it is what it can take of the host."""
    return (
        f"<volume><name>{name}</name><capacity>{capacity}</capacity><allocation>0</allocation>"
        f"<target><format type='qcow2'/></target>"
        f"<backingStore><path>{escape(base)}</path><format type='qcow2'/></backingStore></volume>"
    )


def file(name: str, length: int) -> str:
    """A volume that holds just bytes."""
    return (
        f"<volume><name>{name}</name><capacity>{length}</capacity><allocation>0</allocation>"
        "<target><format type='raw'/></target></volume>"
    )


def card(plan: Plan, site: Site, slot: int) -> str:
    return (
        f"<interface type='network'><mac address='{plan.mac(site, slot)}'/><source network='{plan.name}'/>"
        f"<model type='virtio'/><port isolated='yes'/><filterref filter='{plan.filter}'>"
        f"<parameter name='IP' value='{site.address(slot)}'/></filterref></interface>"
    )


def guest(
    plan: Plan, site: Site, name: str, *, disk: str, label: Label, cards: str = "", room: bool = False
) -> str:
    """A guest; a template has no card, and room in its description."""
    # Without a limit the emulator keeps a gigabyte of translated code for each guest.
    emulation = "<tcg><tb-cache unit='MiB'>128</tb-cache></tcg>" if site.emulated else ""
    model = site.cpu or ("Nehalem" if site.emulated else "")
    cpu = (
        f"<cpu mode='custom' match='exact' check='none'><model>{model}</model></cpu>"
        if model
        else "<cpu mode='host-passthrough' migratable='on'/>"
    )
    # The kit's own image starts no JupyterLab in a seat: the hub does. It makes its secrets at its first
    # boot: a template's copies do, not the template.
    said = ("virtlab.seat", "virtlab.wait") if room else ("virtlab.seat",)
    entries = "".join(f"<entry>io.systemd.credential:{name}=yes</entry>" for name in said)
    sysinfo = f"<sysinfo type='smbios'><oemStrings>{entries}</oemStrings></sysinfo>"
    # Ports to spare: a clone gets its card while it runs.
    ports = ""
    if site.machine.endswith("q35"):
        root = "<controller type='pci' index='0' model='pcie-root'/>"
        ports = root + "<controller type='pci' model='pcie-root-port'/>" * 10
    return f"""
<domain type='{"qemu" if site.emulated else "kvm"}'>
  <name>{name}</name>
  <genid/>
  <title>{escape(label.owner or "warm, nobody's yet")}</title>
  <description>{"." * ROOM if room else ""}</description>
  <metadata>{label.xml()}</metadata>
  <memory unit='MiB'>{plan.size.memory_mb}</memory>
  <vcpu>{plan.size.vcpus}</vcpu>
  {sysinfo}
  <os><type arch='x86_64' machine='{site.machine}'>hvm</type><smbios mode='sysinfo'/></os>
  <features><acpi/><apic/>{emulation}</features>
  {cpu}
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>restart</on_crash>
  <devices>
    {ports}
    <controller type='usb' model='none'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/><source file={quoteattr(disk)}/>
      <target dev='vda' bus='virtio'/>
    </disk>
    {cards}
    <serial type='pty'/><console type='pty'/>
    <channel type='unix'><target type='virtio' name='{AGENT}'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio' freePageReporting='on'/>
  </devices>
</domain>"""


def tree(thing: Any, flags: int = 0) -> ET.Element:
    """What libvirt says about one of its things."""
    return ET.fromstring(thing.XMLDesc(flags))  # noqa: S314  (libvirt's own words)


def rename(tree: ET.Element, *, name: str, disk: str, label: Label) -> None:
    """Make of a running guest's description that of the same machine under another name, on another disk."""
    ET.register_namespace("s", SPACE)
    say(tree, "name", name)
    say(tree, "title", label.owner or "warm, nobody's yet")
    if (metadata := tree.find("metadata")) is not None:
        metadata.clear()
        metadata.append(ET.fromstring(label.xml()))  # noqa: S314  (our own)
    for source in tree.iterfind("devices/disk/source"):
        source.attrib.clear()
        source.set("file", disk)
    for backing in tree.findall("devices/disk"):
        for old in backing.findall("backingStore"):
            backing.remove(old)  # libvirt reads the chain from the disk itself
    for device in tree.find("devices") or ():  # sockets and terminals have the old name in their path
        if device.tag in ("channel", "serial", "console"):
            device.attrib.pop("tty", None)
            for old in device.findall("source"):
                device.remove(old)


def say(tree: ET.Element, tag: str, text: str) -> None:
    found = tree.find(tag)
    if found is None:
        found = ET.Element(tag)
        tree.insert(1, found)
    found.text = text
