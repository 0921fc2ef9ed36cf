"""The words of the picture and of the text: nothing is said by a shape or a colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtlab.language import choose

if TYPE_CHECKING:
    from virtlab.topology.graph import Edge, Node, Topology


def either(en: str, zh: str) -> str:
    return choose({"en": en, "zh": zh})


def kind(node: Node) -> str:
    """What it is, with what is special about it."""
    names = {
        "machine": either("this machine's own network", "本机自己的网络"),
        "door": either("published port", "发布的端口"),
        "network": either("network", "网络"),
        "pod": either("one network namespace (a pod)", "同一个网络命名空间（Pod）"),
        "container": either("container", "容器"),
        "guest": either("virtual machine", "虚拟机"),
        "link": either("plugged in by hand", "手工接入"),
        "volume": either("volume", "数据卷"),
        "disk": either("disk", "磁盘"),
    }
    more = {
        "network": either("made by hand", "手工创建") if node["byhand"] else node["driver"],
        "container": node["image"],
        "guest": either("emulated", "软件模拟") if node["type"] == "qemu" else node["type"].upper(),
        "disk": node["format"],
    }.get(node.kind, "")
    return f"{names[node.kind]} · {more}" if more else names[node.kind]


def state(node: Node) -> str:
    """What is not as one would expect."""
    states = {
        "exited": either("stopped", "已停止"),
        "created": either("never started", "尚未启动"),
        "paused": either("paused", "已暂停"),
        "off": either("switched off", "已关机"),
        "restarting": either("restarting", "正在重启"),
        "dead": either("dead", "已失效"),
        "stopping": either("switching off", "正在关机"),
    }
    said = [states.get(node["state"], node["state"])] if node["state"] else []
    if node["alone"]:
        said.append(either("no network: only lo", "没有网络：只有 lo"))
    if node["internal"]:
        said.append(either("internal: no way out", "内部网络：不通外网"))
    if node["missing"]:
        said.append(either("its bridge is missing", "网桥不存在"))
    if node["down"]:
        said.append(either("down", "未启用"))
    if node["nameless"]:
        said.append(either("without a name", "匿名"))
    if node["unused"]:
        said.append(either("used by nobody", "无人使用"))
    if node["local"]:
        said.append(either("localhost only", "仅限本机访问"))
    elif node["address"] == "*":
        said.append(either("from anywhere", "任何地址都可访问"))
    return ", ".join(said)


def name(node: Node) -> str:
    if node.kind == "machine":
        return either("This machine", "本机")
    if node.kind == "door":
        return node.name.replace("*", either("every address", "所有地址"))
    return node.name


def owner(topology: Topology, node: Node) -> str:
    """Whose it is, where that is not plain: in a lab's picture, what is not the lab's; else whose."""
    if node.kind in ("machine", "door", "link") or node.owner == topology.lab:
        return ""
    if node.owner == "host":
        return either("of the lab host", "实验主机自带")
    return node.owner if node.owner else (either("not this lab's", "不属于本实验") if topology.lab else "")


def details(topology: Topology, node: Node) -> list[str]:
    """The facts of a node, a line each."""
    said = []
    if node.kind == "machine":
        said.append(f"{node['interface']} {node['address']}".strip())
    if node.kind == "network":
        said += [node["subnet"], node["bridge"]]
        for edge in topology.to(node, "out"):
            said.append(
                either("out by NAT", "经 NAT 出网")
                if edge["nat"]
                else either(f"out by {edge['by'] or 'routing'}", f"经 {edge['by'] or '路由'} 出网")
            )
    if node.kind == "guest":
        cpus = int(node["cpus"] or 1)
        said.append(f"{node['memory']} MiB, {cpus} CPU{'s' if cpus > 1 else ''}")
    if node.kind == "disk" and node["size"]:
        said.append(
            either(f"{node['used']} of {node['size']} MiB used", f"已用 {node['used']} / {node['size']} MiB")
        )
    if node.kind in ("container", "guest", "pod"):
        said += [attachment(topology, edge) for edge in topology.to(node, "attached")]
        said += [
            either("host: this machine's network", "host：直接使用本机网络")
            for _ in topology.to(node, "host")
        ]
    return [line for line in said if line]


def attachment(topology: Topology, edge: Edge) -> str:
    """`web-net 172.20.0.2`, and what is odd about it."""
    said = [topology.node(edge.a).name, edge["address"]]
    if edge["planned"]:
        said.append(either("(once it runs)", "（运行后接入）"))
    if edge["lost"]:
        said.append(either("(unplugged)", "（网线已断开）"))
    if edge["byhand"]:
        said.append(either("(by hand)", "（手工接入）"))
    return " ".join(filter(None, said))


def cable(edge: Edge) -> str:
    """The two ends of a cable, as the kernel names them."""
    return " ⇄ ".join(filter(None, (edge["interface"], edge["link"])))


def mount(edge: Edge) -> str:
    return edge["path"] + (either(" (read only)", "（只读）") if edge["readonly"] else "")


def notes(topology: Topology, node: Node, *more: str) -> str:
    """What it is, what is special about it, and whose it is: what stands in brackets behind a name."""
    return "; ".join(filter(None, [kind(node), *more, state(node), owner(topology, node)]))


def summary(topology: Topology) -> str:
    counts = (
        ("network", "network", "networks", "个网络"),
        ("container", "container", "containers", "个容器"),
        ("guest", "virtual machine", "virtual machines", "台虚拟机"),
        ("volume", "volume", "volumes", "个数据卷"),
        ("disk", "disk", "disks", "个磁盘"),
        ("door", "published port", "published ports", "个发布的端口"),
    )
    said = []
    for what, one, many, zh in counts:
        if number := len(topology.of_kind(what)):
            said.append(either(f"{number} {one if number == 1 else many}", f"{number} {zh}"))
    if not said:
        return either("Nothing is there yet.", "目前还什么都没有。")
    verb = "is" if said[0].startswith("1 ") else "are"
    return either(f"There {verb} {', '.join(said)}.", f"现有{'、'.join(said)}。")
