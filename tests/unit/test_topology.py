"""The topology: what is really there, in words and as a drawing, and what could not be seen."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from virtlab import paths
from virtlab.errors import MachineError
from virtlab.notebook import picture
from virtlab.topology import Edge, Node, Topology, Unseen, draw, kernel
from virtlab.topology.graph import facts

arrange = draw.arrange
SANITIZE = paths.ROOT / "tests/notebooks/sanitize.cfg"
SVG = "{http://www.w3.org/2000/svg}"
MACHINE = Node("machine", "machine", "machine", "host", facts=facts(interface="eth0", address="192.0.2.9"))

drawn = pytest.mark.host  # Graphviz draws, and comes with `lab up`


def network(name, **known):
    return Node(f"network {name}", "network", name, "90-x", facts=facts(driver="bridge", **known))


def container(name, inside="", **known):
    return Node(f"container {name}", "container", name, "90-x", inside, facts(image="nginx", **known))


def attached(net, what, **known):
    return Edge("attached", f"network {net}", what, facts(**known))


def graph(nodes, edges=(), unseen=()):
    return Topology("90-x", "A lab", tuple(nodes), tuple(edges), tuple(unseen))


@pytest.fixture
def shop():
    """A bit of everything."""
    door = Node(
        "door 127.0.0.1:8105/tcp", "door", "127.0.0.1:8105", "90-x", facts=facts(port=8105, local=True)
    )
    disk = Node(
        "disk /pool/vm.qcow2", "disk", "vm.qcow2", "90-x", facts=facts(format="qcow2", size=4096, used=50)
    )
    base = Node(
        "disk /pool/base.qcow2", "disk", "base.qcow2", "host", facts=facts(format="qcow2", size=3072, used=88)
    )
    guest = Node("guest vm", "guest", "vm", "90-x", facts=facts(memory=512, cpus=1, type="qemu", state="off"))
    nodes = [
        MACHINE, door, disk, base, guest,
        network("front", subnet="172.20.0.0/16", bridge="br-0123456789ab"), network("back", internal=True),
        container("web"), container("db", state="exited"), container("radio"), container("alone", alone=True),
        Node("pod a", "pod", "a", "90-x"), container("a", "pod a"), container("b", "pod a"),
        Node("volume data", "volume", "data", "90-x"),
    ]  # fmt: skip
    edges = [
        Edge("out", "machine", "network front", facts(nat=True)), Edge("host", "machine", "container radio"),
        Edge("leads", door.id, "container web", facts(port=80)),
        attached("front", "container web", address="172.20.0.2", interface="eth0", link="veth01"),
        attached("back", "container web", address="172.21.0.2"),
        attached("back", "container db", planned=True),
        attached("front", "pod a", address="172.20.0.3"), attached("front", "guest vm", planned=True),
        Edge("mounted", "container db", "volume data", facts(path="/var/lib/mysql")),
        Edge("mounted", "guest vm", disk.id, facts(path="vda")), Edge("builds", disk.id, base.id),
    ]  # fmt: skip
    return graph(nodes, edges)


def crowd(number):
    """So many containers on three networks, with doors and volumes."""
    nodes, edges = [MACHINE, *(network(f"net-{each}") for each in range(3))], []
    for each in range(number):
        nodes.append(container(f"box-{each}"))
        edges.append(attached(f"net-{each % 3}", f"container box-{each}", address=f"10.0.{each % 3}.{each}"))
        if each % 5 == 0:
            nodes += [
                Node(f"door {each}", "door", f"127.0.0.1:80{each:02}"),
                Node(f"volume {each}", "volume", f"v{each}"),
            ]
            edges += [
                Edge("leads", f"door {each}", f"container box-{each}", facts(port=80)),
                Edge("mounted", f"container box-{each}", f"volume {each}", facts(path="/data")),
            ]
    return graph(nodes, edges)


def texts(drawing):
    return [each.text for each in ET.fromstring(drawing).iter(f"{SVG}text")]  # noqa: S314


def classes(drawing, name):
    """The classes of the shapes in the box that says this name."""
    for group in ET.fromstring(drawing).iter(f"{SVG}g"):  # noqa: S314
        if group.find(f"{SVG}title") is not None and group.find(f"{SVG}text").text == name:
            return [each.get("class") for each in group if each.tag in (f"{SVG}rect", f"{SVG}path")]
    raise AssertionError(f"{name} is not drawn")


def test_in_words(shop):
    assert (
        shop.text()
        == """\
A lab: what is there now
There are 2 networks, 6 containers, 1 virtual machine, 1 volume, 2 disks, 1 published port.

Doors of this machine
  127.0.0.1:8105 leads to web, port 80 (localhost only)

front (network · bridge; 172.20.0.0/16; br-0123456789ab; out by NAT)
  web 172.20.0.2 (container · nginx; eth0 ⇄ veth01)
  a 172.20.0.3 (one network namespace (a pod); holds a, b)
  vm (once it runs) (virtual machine · emulated; switched off)

back (network · bridge; internal: no way out)
  web 172.21.0.2 (container · nginx)
  db (once it runs) (container · nginx; stopped)

This machine (this machine's own network; eth0 192.0.2.9)
  radio (container · nginx)

On no network
  alone (container · nginx; no network: only lo)

Volumes and disks
  vm.qcow2 (disk · qcow2; 50 of 4096 MiB used) — vm: vda; builds upon base.qcow2
  base.qcow2 (disk · qcow2; 88 of 3072 MiB used; of the lab host)
  data (volume) — db: /var/lib/mysql"""
    )


@drawn
def test_everything_is_drawn_and_said_without_colour(shop):
    drawing = shop.svg()
    shown = texts(drawing)
    for said in (
        "web",
        "front 172.20.0.2",
        "eth0 ⇄ veth01",
        "internal: no way out",
        "stopped",
        "switched off",
        "no network: only lo",
        "one network namespace (a pod)",
        "127.0.0.1:8105",
        "localhost only",
        "host: this machine's network",
        "out by NAT",
        "front (once it runs)",
        "/var/lib/mysql",
    ):
        assert said in shown
    assert "hollow" in classes(drawing, "db")[0]
    assert "hollow" not in classes(drawing, "web")[0]
    assert drawing.count('class="line attached hollow"') == 2  # of what is not running
    assert "other" in classes(drawing, "base.qcow2")[0]  # not what the picture is about


@drawn
def test_a_screen_reader_has_a_name_and_all_of_the_text(shop):
    root = ET.fromstring(shop.svg())  # noqa: S314
    assert root.get("role") == "img"
    title, described = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert (root.get("aria-labelledby"), root.get("aria-describedby")) == (
        title.get("id"),
        described.get("id"),
    )
    assert f"{title.text}\n{described.text}" == shop.text()


@drawn
@pytest.mark.parametrize("number", [1, 40])
def test_no_two_boxes_overlap_and_nothing_is_cut_off(monkeypatch, number):
    seen = []
    monkeypatch.setattr(draw, "arrange", lambda *words: seen.append(arrange(*words)) or seen[-1])
    drawing = crowd(number).svg()
    layout = seen[0]
    for (one, a), (other, b) in combinations(layout.places.items(), 2):
        apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
        assert apart, f"{one} lies over {other}"
    assert all(0 <= x <= layout.width and 0 <= y <= layout.height for path in layout.paths for x, y in path)
    width = int(re.search(r'viewBox="0 0 (\d+)', drawing)[1])
    assert width < 1300, "too wide to be read beside a terminal"
    assert {f"box-{each}" for each in range(number)} <= set(texts(drawing))


@drawn
def test_lines_end_at_their_boxes_each_in_a_socket_of_its_own(monkeypatch):
    seen = []
    monkeypatch.setattr(
        draw, "arrange", lambda *words: seen.append((words[2], arrange(*words))) or seen[-1][1]
    )
    crowd(12).svg()
    lines, layout = seen[0]
    ends = []
    for line, path in zip(lines, layout.paths, strict=True):
        for box, (x, y) in ((layout.places[line.a], path[0]), (layout.places[line.b], path[-1])):
            assert min(abs(x - box.x), abs(x - box.x - box.width)) < 2
            assert box.y <= y <= box.y + box.height
            ends.append((round(x), round(y)))
    assert len(set(ends)) == len(ends)


@drawn
def test_names_are_escaped_and_long_ones_shortened():
    drawing = graph([container("<b>&" + "x" * 60)]).svg()
    assert [said for said in texts(drawing) if said.startswith("<b>&") and said.endswith("…")]
    assert "x" * 60 in drawing  # in its title


def test_nothing_is_there_yet():
    empty = graph([])
    assert empty.text().endswith("Nothing is there yet.")
    assert texts(empty.svg()) == ["Nothing is there yet."]


@drawn
def test_in_chinese(shop, monkeypatch):
    monkeypatch.setenv("VIRTLAB_LANG", "zh")
    assert "内部网络：不通外网" in shop.text()
    assert "没有网络：只有 lo" in texts(shop.svg())
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    assert "internal: no way out" in texts(shop.svg())


def test_without_graphviz_there_are_still_the_words(shop, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    fresh = graph(shop.nodes[:6])
    with pytest.raises(MachineError, match="Graphviz") as refused:
        fresh.svg()
    assert "lab up" in refused.value.do
    panel = picture.panel(fresh)
    assert "Graphviz" in panel.body
    assert "front" in panel.text


@drawn
def test_the_notebooks_panel_has_the_drawing_and_the_words(shop):
    panel = picture.panel(
        graph(shop.nodes, shop.edges, [Unseen("I cannot reach libvirt.", "Run `lab doctor`.")])
    )
    assert "<svg" in panel.body
    assert "I cannot reach libvirt. Run <code>lab doctor</code>." in panel.body.replace("</p>", "").replace(
        "<p>", ""
    )
    assert "What I could not see" in repr(panel)
    assert "localhost only" in repr(panel)


def test_a_guides_stored_output_is_the_same_on_another_machine():
    """Addresses, cables and disks' fill differ from run to run; what is compared does not."""

    def seen(address, bits, cable, device, used):
        disk = Node("disk d", "disk", "d", "90-x", facts=facts(size=4096, used=used))
        way = Node("machine", "machine", "machine", "host", facts=facts(interface=device, address=address))
        nodes = [way, network("net", subnet=f"{address}/{bits}", bridge=f"br-{cable * 2}"[:15]), disk]
        edges = [attached("net", "container web", address=address, interface="eth0", link=f"veth{cable}")]
        edges += [Edge("host", "machine", "container radio")]
        panel = picture.panel(graph([*nodes, container("web"), container("radio")], edges))
        said = f"{panel!r} {panel._repr_html_()}"
        for pattern, marker in re.findall(
            r"^regex: (.*)\nreplace: (.*)$", SANITIZE.read_text(), re.MULTILINE
        ):
            said = re.sub(pattern, marker, said)
        return said

    here = seen("172.20.0.2", 16, "3c45da7", "eth0", 52)
    assert here == seen("192.168.128.12", 20, "402d72f", "enp0s3", 1250)
    assert "web ADDRESS" in here


def test_the_kernels_own_view():
    here = kernel.namespace("self")
    assert here
    assert here == kernel.Kernel().here
    assert "lo" not in [each.name for each in here.interfaces]
    assert kernel.namespace("self", container="0" * 64) is None  # not that container's process
    assert kernel.namespace(2**22 + 1) is None
    lo = kernel.Kernel().devices["lo"]
    assert (lo.is_bridge, lo.master, lo.is_up) == (False, "", True)


def test_without_docker_and_libvirt_it_says_what_it_could_not_see(kit):
    kit.make("90-tiny", "tiny")
    done = kit.lab("topology", "90", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert done.code == 3
    assert "Nothing is there yet." in done.out
    assert "What I could not see\n  I cannot reach the Docker daemon" in done.out
    drawing = kit.root / "x.svg"
    done = kit.lab(
        "topology", "90", "--json", "--svg", str(drawing), DOCKER_HOST="unix:///nonexistent/docker.sock"
    )
    assert done.code == 3
    assert done.json["unseen"][0]["do"]
    assert done.json["svg"] == str(drawing)
    assert ET.fromstring(drawing.read_text()).tag == f"{SVG}svg"  # noqa: S314


def test_a_file_that_cannot_be_written(kit):
    kit.make("90-tiny", "tiny", docker=False)
    done = kit.lab("topology", "90", "--svg", str(kit.root / "no/such/folder.svg"))
    assert done.code == 2
    assert "I cannot write" in done.err


def test_the_command_line_imports_it_only_to_draw():
    code = "import sys, virtlab.cli, virtlab.lifecycle, virtlab.commands.topology; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "virtlab.commands.topology" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.startswith("virtlab.topology")]
