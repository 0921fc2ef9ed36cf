"""The topology on the real machine: containers, guests, and the kernel behind Docker's back."""

import subprocess

import pytest

from virtlab import catalogue, state, topology
from virtlab.seat import Seat
from virtlab.topology import kernel

PREFIX = "unittopo"

pytestmark = pytest.mark.host


@pytest.fixture
def lab(kit):
    # A slug of its own: another file's `lab finish 90` takes everything that is labelled 90-tiny.
    kit.make("91-topology", PREFIX)
    return catalogue.load("91-topology")


class Stage:
    """Real containers and networks of the lab, removed in the end."""

    def __init__(self, lab):
        self.lab, self.seat = lab, Seat()
        self.image = lab.host.base_images.images["busybox"]
        self.labels = {catalogue.LABEL: lab.slug}

    def look(self):
        return topology.of(self.lab, self.seat)

    def network(self, name, **more):
        return self.seat.docker.networks.create(
            f"{PREFIX}-{name}", driver="bridge", labels=self.labels, **more
        )

    def run(self, name, **more):
        return self.seat.docker.containers.run(
            self.image,
            ["sleep", "600"],
            name=f"{PREFIX}-{name}",
            detach=True,
            init=True,
            labels=self.labels,
            **more,
        )

    def clear(self):
        api = self.seat.docker.api
        for one in api.containers(all=True, filters={"label": f"{catalogue.LABEL}={self.lab.slug}"}):
            if one["Names"][0].startswith(f"/{PREFIX}-"):
                api.remove_container(one["Id"], force=True, v=True)
        for one in api.networks(names=[f"{PREFIX}-"]):
            api.remove_network(one["Id"])
        for one in api.volumes(filters={"name": f"{PREFIX}-"})["Volumes"] or ():
            api.remove_volume(one["Name"])


@pytest.fixture
def stage(lab):
    made = Stage(lab)
    made.clear()
    try:
        yield made
    finally:
        made.clear()


def lines(seen, start):
    return [
        line.strip() for line in seen.text().splitlines() if line.strip().startswith(f"{PREFIX}-{start} ")
    ]


def test_attached_to_a_second_network_the_picture_changes(stage):
    front, back = stage.network("front"), stage.network("back", internal=True)
    web = stage.run("web", network=front.name, ports={"80/tcp": ("127.0.0.1", 8197)})
    first = stage.look()
    assert len(lines(first, "web")) == 1
    assert "127.0.0.1:8197 leads to unittopo-web, port 80 (localhost only)" in first.text()
    back.connect(web)
    second = stage.look()
    assert second != first
    assert second.svg() != first.svg()
    assert len(lines(second, "web")) == 2
    addresses = {
        name: each["IPAddress"]
        for name, each in stage.seat.docker.containers.get(web.id)
        .attrs["NetworkSettings"]["Networks"]
        .items()
    }
    for name, address in addresses.items():
        assert f"{name} {address}" in second.svg()
    assert "internal: no way out" in second.text()
    back.disconnect(web)
    assert stage.look() == first


def test_the_kernel_has_the_last_word(stage):
    """A cable pulled, and one plugged in, behind Docker's back; the ends of each cable are the real ones."""
    net = stage.network("net")
    web, alone = stage.run("web", network=net.name), stage.run("alone", network_mode="none")
    pulled = stage.run("pulled", network=net.name)
    bridge, cable = f"br-{net.id[:12]}", "unittopo0"
    seen = stage.look()
    plug = next(edge for edge in seen.edges if edge.b == "container unittopo-web")["link"]
    assert plug in [each.name for each in kernel.Kernel().ports(bridge)]
    assert "no network: only lo" in lines(seen, "alone")[0]
    loose = next(edge for edge in seen.edges if edge.b == "container unittopo-pulled")["link"]
    for one in (web, alone, pulled):
        one.reload()
    pids = [one.attrs["State"]["Pid"] for one in (web, alone)]
    address = web.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    for command in (
        f"nsenter -t {pids[0]} -n ip address flush dev eth0",
        f"ip link set {loose} nomaster",
        f"ip link add {cable} type veth peer name eth7 netns {pids[1]}",
        f"ip link set {cable} master {bridge} up",
        f"nsenter -t {pids[1]} -n ip link set eth7 up",
        f"nsenter -t {pids[1]} -n ip address add {address}/16 dev eth7",
    ):
        subprocess.run(command.split(), check=True)
    seen = stage.look()
    assert lines(seen, "web") == [f"unittopo-web {address} (unplugged) (container · busybox; eth0 ⇄ {plug})"]
    assert len(lines(seen, "pulled")) == 1
    assert "(unplugged)" in lines(seen, "pulled")[0]
    assert lines(seen, "alone") == [
        f"unittopo-alone {address} (by hand) (container · busybox; eth7 ⇄ {cable})"
    ]


def test_host_none_pods_volumes_and_what_does_not_run(stage):
    net = stage.network("net")
    stage.run("radio", network_mode="host")
    one = stage.run("one", network=net.name, volumes={f"{PREFIX}-data": {"bind": "/data", "mode": "ro"}})
    stage.run("two", network_mode=f"container:{one.id}")
    stage.seat.docker.api.create_container(
        stage.image,
        ["true"],
        name=f"{PREFIX}-later",
        labels=stage.labels,
        host_config=stage.seat.docker.api.create_host_config(network_mode=net.name),
    )
    seen = stage.look()
    assert seen.node("container unittopo-two").inside == "pod unittopo-one"
    assert "holds unittopo-one, unittopo-two" in lines(seen, "one")[0]
    assert [edge.b for edge in seen.edges if edge.kind == "host"] == ["container unittopo-radio"]
    assert "(once it runs)" in lines(seen, "later")[0]
    assert "unittopo-one: /data (read only)" in lines(seen, "data")[0]
    one.restart(timeout=0)  # its namespace is a new one: whoever shared the old one is cut off
    seen = stage.look()
    assert seen.node("container unittopo-two").inside == ""
    assert "no network: only lo" in lines(seen, "two")[0]


GUEST = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type>hvm</type></os><devices><interface type='network'><source network='{network}'/></interface>
</devices></domain>"""


def test_a_guest_off_and_on(kit):
    kit.make("90-tiny", PREFIX, docker=False)
    (kit.labs / "90-tiny/lab.yml").write_text(
        (kit.labs / "90-tiny/lab.yml").read_text().replace("docker: false", "docker: false, libvirt: true")
    )
    lab, seat = catalogue.load("90-tiny"), Seat()
    before = [f"guest {one.UUIDString()}" for one in seat.libvirt.listAllDomains()]
    state.write(lab.slug, state.State("started", before=before))
    guest = seat.libvirt.defineXML(GUEST.format(name=f"{PREFIX}-vm", network=lab.host.kvm_host.network))
    try:
        seen = topology.of(lab, seat)
        assert "(once it runs) (virtual machine · emulated; switched off)" in lines(seen, "vm")[0]
        assert 'class="line attached hollow"' in seen.svg()
        guest.create()
        seen = topology.of(lab, seat)
        cable = next(edge for edge in seen.edges if edge.kind == "attached")
        plugged = [each.name for each in kernel.Kernel().ports(seen.node(cable.a)["bridge"])]
        assert cable["link"] in plugged
        assert 'class="line attached hollow"' not in seen.svg()
    finally:
        if guest.isActive():
            guest.destroy()
        guest.undefine()


def test_everything_on_this_machine():
    seen = topology.of(None)
    names = {node.name for node in seen.of_kind("container")}
    assert names == {one.name for one in Seat().docker.containers.list(all=True)}
    assert {"bridge", "virtlab"} <= {node.name for node in seen.of_kind("network")}
    assert not seen.unseen


def test_where_the_kernel_cannot_be_asked_docker_is(stage, monkeypatch):
    """As with a daemon on another machine."""
    net = stage.network("net")
    web = stage.run("web", network=net.name)
    monkeypatch.setattr("virtlab.topology.docker.namespace", lambda process, container: None)
    seen = stage.look()
    web.reload()
    address = web.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    assert lines(seen, "web") == [f"{PREFIX}-web {address} (container · busybox)"]
    assert "cannot be seen from here" in seen.text()


def test_a_bridge_made_by_hand_and_what_is_plugged_into_it(stage):
    bridge, cable = f"{PREFIX}-br", "unittopo1"
    for command in (
        f"ip link add {bridge} type bridge",
        f"ip link add {cable} type veth peer name unittopo2",
        f"ip link set {cable} master {bridge}",
    ):
        subprocess.run(command.split(), check=True)
    try:
        seen = stage.look()
        assert seen.node(f"network {bridge}")["byhand"]
        assert lines(seen, "br") == [f"{bridge} (network · made by hand; {bridge}; down)"]
        assert f"{cable} (plugged in by hand; down)" in seen.text()
    finally:
        for device in (bridge, cable):
            subprocess.run(["ip", "link", "delete", device], check=False)
    assert f"network {bridge}" not in [node.id for node in stage.look().nodes]
