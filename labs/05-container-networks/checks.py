"""Outcomes of lab 05: who can talk to whom, tried with real names, packets and pages."""

import time

from virtlab import patience
from virtlab.checks import check
from virtlab.containers import (
    attachments,
    connects,
    inside,
    joined,
    namespace_file,
    of_lab,
    open_beyond_localhost,
    page,
    publishers,
    reached,
    resolve,
    running,
    shared_ports,
    together,
)

NOT_YOURS = {"bridge", "host", "none"}  # the networks every Docker has
# Devices some kernels put into every new network namespace, down and without an address.
IDLE_DEVICES = {"tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"}


# names
def market(seat, lab):
    """`net-shop`, `net-till` and the networks of the learner's own that they share."""
    shop, till = running(seat, lab.name("shop")), running(seat, lab.name("till"))
    shared = (attachments(shop).keys() & attachments(till).keys()) - NOT_YOURS
    on = [", ".join(f"`{name}`" for name in sorted(attachments(one))) or "no network" for one in (shop, till)]
    assert shared, (
        f"`{shop.name}` is on {on[0]} and `{till.name}` is on {on[1]}. I expected both on one network that "
        "you created. `docker network create` makes one; `docker run --network NAME` starts a container on "
        "it."
    )
    return shop, till, sorted(shared)


@check(
    "net-shop and net-till find each other by name",
    task="names",
    hint="Which networks have a DNS server? Not the one a container gets when you say nothing.",
)
def by_name(seat, lab):
    shop, till, shared = market(seat, lab)
    answers = together((resolve, seat, lab, till, shop.name), (resolve, seat, lab, shop, till.name))
    for asker, wanted, answer in ((till, shop, answers[0]), (shop, till, answers[1])):
        right = {attachments(wanted)[network]["IPAddress"] for network in shared}
        got = answer.get(wanted.name, set())
        assert got & right, (
            f"Inside `{asker.name}` I asked Docker's DNS for `{wanted.name}` and got "
            f"{', '.join(sorted(got)) or 'no address'}. I expected {' or '.join(sorted(right))}. Try it: "
            f"`docker exec {asker.name} nslookup {wanted.name}`."
        )
    return f"`{till.name}` and `{shop.name}` find each other by name on `{shared[0]}`."


@by_name.broken_by
def _(seat, lab):
    shop, _, shared = market(seat, lab)
    for network in shared:
        seat.docker.networks.get(network).disconnect(shop)


@check(
    "net-till also finds the shop under the name `shop`",
    task="names",
    after=["by_name"],
    hint="A container can have further names on a network. See `docker network connect --help`.",
)
def by_alias(seat, lab):
    shop, till, shared = market(seat, lab)
    right = {attachments(shop)[network]["IPAddress"] for network in shared}
    got = resolve(seat, lab, till, "shop").get("shop", set())
    assert got & right, (
        f"Inside `{till.name}` I asked for `shop` and got {', '.join(sorted(got)) or 'no address'}. I "
        f"expected {' or '.join(sorted(right))}, which is `{shop.name}`. Give `{shop.name}` a network "
        "alias: see `--network-alias` in `docker run --help`."
    )
    return f"`{till.name}` finds `{shop.name}` as `shop` as well: an alias on `{shared[0]}`."


@by_alias.broken_by
def _(seat, lab):
    shop, _, shared = market(seat, lab)
    for network in map(seat.docker.networks.get, shared):
        network.disconnect(shop)
        network.connect(shop)


# publish
@check(
    "A container's page with your own word answers on localhost",
    task="publish",
    hint="`docker run -p ADDRESS:HOST_PORT:CONTAINER_PORT …`; then look at `docker ps`.",
)
def published(seat, lab):
    port = lab.ports["web"]
    text, trouble = page(seat, f"http://localhost:{port}/")
    by = publishers(seat, port)
    assert text is not None, f"I asked http://localhost:{port}/ and got {trouble}. " + (
        f"`{next(iter(by))}` publishes the port, so the server inside does not answer. Does it listen on "
        "the container port you named?"
        if by
        else "No container publishes this port. Look at the PORTS column of `docker ps`."
    )
    assert by, (
        f"http://localhost:{port}/ answers, but no container publishes port {port}: something else on this "
        "machine is listening there. I expected a container started with `-p`."
    )
    word = lab.values["word"]
    assert word in text, (
        f"I asked http://localhost:{port}/ and got {text.strip()[:60]!r}. "
        f"{lab.values.whose('word', text)}I expected a page with your own word, `{word}` ($LAB_WORD). "
        f"Change the page that `{next(iter(by))}` serves."
    )
    return f"http://localhost:{port}/ answers with your page, from `{next(iter(by))}`."


@published.broken_by
def _(seat, lab):
    for name in publishers(seat, lab.ports["web"]):
        seat.docker.containers.get(name).stop(timeout=0)


@check(
    "The published port answers on localhost only",
    task="publish",
    after=["published"],
    hint="Without an address, -p opens the port to the whole neighbourhood.",
)
def published_here_only(seat, lab):
    port = lab.ports["web"]
    by = publishers(seat, port)
    assert by, f"No container publishes port {port} yet. I expected one that publishes it on 127.0.0.1."
    elsewhere = open_beyond_localhost(seat, port)
    wide = sorted({address for places in by.values() for address in places} - {"127.0.0.1", "::1"})
    assert not elsewhere and not wide, (
        f"Port {port} answers on {', '.join(elsewhere or wide)} too, so other machines may reach it. I "
        f"expected localhost and nothing else. Start `{next(iter(by))}` again with the address in front: "
        f"`-p 127.0.0.1:{port}:…`."
    )
    return f"Port {port} answers on localhost and on no other address of this machine."


@published_here_only.broken_by
def _(seat, lab):
    port = lab.ports["web"]
    for name in publishers(seat, port):
        old = seat.docker.containers.get(name)
        inner = next(key for key, value in old.ports.items() if value)
        old.remove(force=True)
        config = old.attrs["Config"]
        seat.docker.containers.run(
            config["Image"],
            config["Cmd"],
            entrypoint=config["Entrypoint"],
            name=name,
            detach=True,
            ports={inner: port},
        )
    until = time.monotonic() + patience.seconds(3)  # the page itself is to stay as it was
    while page(seat, f"http://localhost:{port}/")[0] is None and time.monotonic() < until:
        time.sleep(0.1)


# host
def in_host_mode(seat, lab):
    return [one for one in of_lab(seat, lab) if one.attrs["HostConfig"]["NetworkMode"] == "host"]


@check(
    "A container in host mode serves the word hello-host",
    task="host",
    hint="In host mode nobody translates ports: the server inside has to listen on the right one itself.",
)
def host_serves(seat, lab):
    port = lab.ports["host"]
    hosts = in_host_mode(seat, lab)
    assert hosts, (
        "No running container of this lab is in host mode. I expected one whose name begins with `net-`, "
        "started with `--network host`. `docker ps` lists what runs."
    )
    by = publishers(seat, port)
    assert not by, (
        f"Port {port} is published by `{next(iter(by))}`, through Docker's port mapping. I expected "
        f"`{hosts[0].name}` to listen on it directly. Remove `{next(iter(by))}`."
    )
    text, trouble = page(seat, f"http://127.0.0.1:{port}/")
    assert text is not None, (
        f"`{hosts[0].name}` is in host mode, but I asked http://127.0.0.1:{port}/ and got {trouble}. A -p "
        f"option has no effect here: tell the server itself to listen on {port} (busybox: `httpd -p`)."
    )
    assert "hello-host" in text, (
        f"I asked http://127.0.0.1:{port}/ and got {text.strip()[:60]!r}. I expected a page with the word "
        f"`hello-host`. Change the page that `{hosts[0].name}` serves."
    )
    return f"`{hosts[0].name}` answers on port {port} of this machine, without any port mapping."


@host_serves.broken_by
def _(seat, lab):
    for one in in_host_mode(seat, lab):
        one.stop(timeout=0)


@check(
    "The server in host mode listens on 127.0.0.1 only",
    task="host",
    after=["host_serves"],
    hint="The server decides on which address it listens. busybox httpd: `-p ADDRESS:PORT`.",
)
def host_serves_here_only(seat, lab):
    port = lab.ports["host"]
    assert connects(seat, "127.0.0.1", port), (
        f"Nothing listens on 127.0.0.1:{port} yet. I expected your server in host mode."
    )
    elsewhere = open_beyond_localhost(seat, port)
    assert not elsewhere, (
        f"Port {port} answers on {', '.join(elsewhere)} too, so other machines may reach it. I expected "
        f"127.0.0.1 and nothing else. Give the server that address as well as the port: `127.0.0.1:{port}`."
    )
    return f"Port {port} answers on 127.0.0.1 and on no other address of this machine."


@host_serves_here_only.broken_by
def _(seat, lab):
    for old in in_host_mode(seat, lab):
        old.remove(force=True)
        serve = (
            f"mkdir -p /www; echo hello-host > /www/index.html; exec httpd -f -p {lab.ports['host']} -h /www"
        )
        seat.docker.containers.run(
            lab.host.base_images.images["busybox"],
            ["sh", "-c", serve],
            name=old.name,
            detach=True,
            network_mode="host",
        )


# none
@check(
    "net-vault runs and is cut off from every network",
    task="none",
    hint="`docker inspect net-vault` lists its networks, and it may be on more than one.",
)
def cut_off(seat, lab):
    vault = running(seat, lab.name("vault"))
    devices = {
        line.split(":")[0].strip() for line in namespace_file(seat, lab, vault, "dev").splitlines()[2:]
    }
    networks = sorted(attachments(vault).keys() - {"none"})
    on = ", ".join(f"`{name}`" for name in networks) or "a network that Docker does not know of"
    more = ", ".join(sorted(devices - {"lo"} - IDLE_DEVICES))
    assert not more, (
        f"`net-vault` has the network device {more}: it is on {on}. I expected `lo` and nothing else. Take "
        "it off every network (`docker network disconnect`), or start it again with `--network none`."
    )
    return "`net-vault` runs, and has no network device but `lo`."


@cut_off.broken_by
def _(seat, lab):
    vault = running(seat, lab.name("vault"))
    for network in attachments(vault):
        seat.docker.networks.get(network).disconnect(vault)
    seat.docker.networks.get("bridge").connect(vault)


# isolate
def members(seat, name):
    """{container: its address} on a network, at least two."""
    from docker.errors import NotFound

    try:
        network = seat.docker.networks.get(name)
    except NotFound:
        raise AssertionError(
            f"There is no network called `{name}`. I expected `net-red` and `net-blue`. `docker network ls` "
            "lists what there is."
        ) from None
    found = {
        one["Name"]: one["IPv4Address"].partition("/")[0] for one in network.attrs["Containers"].values()
    }
    assert len(found) > 1, (
        f"Network `{name}` has {', '.join(f'`{one}`' for one in found) or 'no running container'}. I "
        "expected at least two running containers, so that there are neighbours to talk to. Start one more "
        f"with `--network {name}`."
    )
    return dict(sorted(found.items()))


@check(
    "net-red and net-blue cannot reach one another, and each reaches its own",
    task="isolate",
    hint="Two bridges that you create are kept apart by Docker. What could join them again?",
)
def isolated(seat, lab):
    red, blue = members(seat, lab.name("red")), members(seat, lab.name("blue"))
    bridging = sorted(red.keys() & blue.keys())
    assert not bridging, (
        f"`{bridging[0]}` is on `net-red` and on `net-blue`, so it can reach both. I expected no container "
        f"on both. `docker network disconnect net-blue {bridging[0]}` takes it off one."
    )
    sides = (("net-red", red, "net-blue", blue), ("net-blue", blue, "net-red", red))
    answers = together(
        *(
            (reached, seat, lab, next(iter(own)), list(own.values())[1:], list(other.values()))
            for _, own, _, other in sides
        )
    )
    for (name, own, other_name, other), got in zip(sides, answers, strict=True):
        sender = next(iter(own))
        for neighbour, address in list(own.items())[1:]:
            assert address in got, (
                f"From `{sender}` I sent a packet to its neighbour `{neighbour}` ({address}) on `{name}`, "
                f"and nothing came back. I expected an answer. `docker network inspect {name}` shows the "
                "options of that network."
            )
        for stranger, address in other.items():
            assert address not in got, (
                f"From `{sender}` on `{name}` I sent a packet to `{stranger}` ({address}) on "
                f"`{other_name}`, and it answered. I expected silence. Look for a way between the two: "
                "`docker inspect` lists the networks of a container."
            )
    return "No packet passes between `net-red` and `net-blue`; on each, neighbours answer."


@isolated.broken_by
def _(seat, lab):
    blue = seat.docker.networks.get(lab.name("blue"))
    blue.connect(next(iter(members(seat, lab.name("red")))))


# pod
@check(
    "Two containers share a network namespace, and a page stays inside it",
    task="pod",
    hint="`--network container:NAME`. Both then have one localhost between them.",
)
def pod(seat, lab):
    pairs = joined(seat, lab)
    assert pairs, (
        "No running container of this lab shares the network namespace of another one. I expected two "
        "whose names begin with `net-`; start the second with `--network container:FIRST`."
    )
    found = [(one, other, ports) for one, other in pairs if (ports := shared_ports(seat, lab, one, other))]
    one, other = pairs[0]
    assert found, (
        f"`{one.name}` was started in the network of `{other.name}`, and no server listens there that both "
        f"can see. Is the server running? If `{other.name}` was started again, `{one.name}` has kept the "
        "old namespace: start it again as well."
    )
    one, other, ports = found[0]
    script = "; ".join(
        f"if command -v wget >/dev/null; then echo port={port}; wget -q -O - http://127.0.0.1:{port}/; elif "
        f"command -v curl >/dev/null; then echo port={port}; curl -s -m 2 http://127.0.0.1:{port}/; else "
        "exit 127; fi"
        for port in ports
    )
    pages = dict(
        part.partition("\n")[::2] for part in inside(seat, lab, one, f"({script}) 2>&1").split("port=")[1:]
    )
    right = [int(port) for port, text in pages.items() if "hello-pod" in text]
    assert right, (
        f"`{one.name}` shares the network namespace of `{other.name}`. Inside `{one.name}` I asked "
        f"localhost (port {', '.join(pages)}) and got {' '.join(pages.values()).strip()[:60]!r}. I expected "
        "a page with the word `hello-pod`."
    )
    addresses = [item["IPAddress"] for item in attachments(other).values()]
    outside = [one for one in addresses if connects(seat, one, right[0])]
    assert not outside, (
        f"The page on port {right[0]} also answers on {outside[0]}, the pod's address on the bridge. I "
        "expected it on localhost inside the pod and nowhere else: tell the server to listen on "
        f"127.0.0.1:{right[0]}."
    )
    names = f"`{one.name}` and `{other.name}`"
    return f"{names} share one localhost: port {right[0]} answers inside, and not on the bridge."


@pod.broken_by
def _(seat, lab):
    for one, _ in joined(seat, lab):
        one.stop(timeout=0)
