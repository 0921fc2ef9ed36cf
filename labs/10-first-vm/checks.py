"""Outcomes of lab 10: disks that share a base, and guests that answer over SSH and HTTP."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import requests

from virtlab import guests, patience
from virtlab.checks import check

FILE = "only-here"
FRESH, STALE = 1.5, 6.0  # seconds for which an answer from inside a guest, or none, serves several checks

# All that the checks want to know from inside, asked at once: every program costs under emulation. Who
# listens on port 80 is known by its control group, for which nobody has to be root.
ASK = f"""
echo name=$(cat /proc/sys/kernel/hostname)
test -e {FILE} && echo file=yes || echo file=no
unit=$(ss -ltnH --cgroup 'sport = :80' | sed -n '1s,.*cgroup:.*/,,p')
test -z "$unit" || echo unit=$unit
test -z "$unit" || systemctl show -p UnitFileState -p ExecMainStartTimestampMonotonic -- $unit
"""


def ask(seat, lab, guest):
    """What a guest says of itself: name, file, and of its web server unit, enabled, started.

    All of the lab's guests are asked at the same time, and each but once for all checks.
    """
    answers = seat.__dict__.setdefault("first_vm_answers", {})
    alone = seat.__dict__.setdefault("first_vm_lock", Lock())  # checks of other tasks ask at the same time

    def is_due(one):
        when, found = answers.get(one.name(), (0.0, {}))
        return time.monotonic() - when > patience.seconds(
            STALE if isinstance(found, AssertionError) else FRESH
        )

    def look(one):
        try:
            found = dict(word.partition("=")[::2] for word in guests.inside(seat, lab, one, ASK).split())
        except AssertionError as error:
            found = error
        answers[one.name()] = time.monotonic(), found

    with alone:
        if is_due(guest):
            with ThreadPoolExecutor() as pool:
                list(pool.map(look, guests.of_lab(seat, lab)))
    found = answers[guest.name()][1]
    if isinstance(found, AssertionError):
        raise found
    return found


def base(seat, lab):
    """The path of the disk that all guests start from; it must be as `lab up` made it."""
    image = lab.host.vm_image
    now = seat.path(image.path).stat()
    assert (now.st_size, int(now.st_mtime)) == (image.bytes, image.modified), (
        f"The base {image.volume} was written to, so every disk that builds upon it is in danger. Finish the "
        "lab, run `./lab up --only vm_image`, and start anew. A guest never gets the base itself as its disk."
    )
    return image.path


def builds_upon_base(seat, lab, volume):
    assert volume.backing, (
        f"`{volume.name}` builds upon nothing: it is a whole disk of its own, {volume.allocation_mb} MiB. I "
        f"expected an overlay upon `{lab.host.vm_image.volume}`. `virsh vol-create-as` has the options "
        "--backing-vol and --backing-vol-format."
    )
    assert volume.backing == base(seat, lab), (
        f"`{volume.name}` builds upon {volume.backing}. I expected `{lab.host.vm_image.volume}`."
    )


# disk
@check(
    "A disk of 4 GiB builds upon the base, which nobody has changed",
    task="disk",
    hint="`virsh vol-dumpxml` of your disk has a <backingStore> when it is an overlay.",
)
def overlay(seat, lab):
    mine = [one for one in guests.volumes(seat, lab).values() if one.name.startswith(lab.name(""))]
    assert mine, (
        f"Pool `{lab.host.kvm_host.pool}` has no volume whose name begins with `{lab.name('')}`. "
        f"`virsh vol-list {lab.host.kvm_host.pool}` lists them; `virsh vol-create-as` makes one."
    )

    def test(volume):
        builds_upon_base(seat, lab, volume)
        assert volume.capacity_mb == 4096, (
            f"`{volume.name}` is an overlay, and a guest would see a disk of {volume.capacity_mb} MiB. I "
            "expected 4 GiB, that is 4096 MiB."
        )
        return (
            f"`{volume.name}` is 4 GiB large for its guest and builds upon `{lab.host.vm_image.volume}`, "
            "which is unchanged."
        )

    # The second guest may have an overlay of another size: the best of them counts.
    return guests.any_of(sorted(mine, key=lambda one: one.name), test)


@overlay.broken_by
def _(seat, lab):
    """Copy everything from the base into the disk, while its guest runs."""
    known = guests.volumes(seat, lab)
    for guest in guests.of_lab(seat, lab):
        if known[guests.disks(seat, guests.tree(guest))[0]].capacity_mb == 4096:
            guest.blockPull("vda", 0, 0)
            until = time.monotonic() + patience.seconds(60)
            while guest.blockJobInfo("vda", 0) and time.monotonic() < until:
                time.sleep(0.3)


# guest
@check(
    "A guest with one CPU and 512 MiB has that disk and a card on the lab's network",
    task="guest",
    hint="`virsh dumpxml` shows how libvirt understood your file.",
    after=["overlay"],
)
def defined(seat, lab):
    known = guests.volumes(seat, lab)
    network = lab.host.kvm_host.network

    def test(guest):
        name, said = guest.name(), guests.settings(guest)
        assert guest.isPersistent(), (
            f"`{name}` runs, but libvirt forgets it when it stops: it was made by `virsh create`. `virsh "
            "define` with the same file keeps it."
        )
        for what in (said, guests.tree(guest)):
            files = guests.disks(seat, what)
            assert files, f"`{name}` has no disk. I expected one, the overlay you made."
            for file in files:
                assert file != lab.host.vm_image.path, (
                    f"`{name}` has the base itself as its disk. What it writes would reach every other "
                    "guest. Give it an overlay."
                )
            builds_upon_base(seat, lab, guests.volume(seat, files[0], known))
        cpus, memory = int(said.findtext("vcpu") or 0), int(said.findtext("memory") or 0) >> 10
        assert (cpus, memory) == (1, 512), (
            f"`{name}` is defined with {cpus} CPU(s) and {memory} MiB. I expected 1 and 512. `virsh edit "
            f"{name}` shows <vcpu> and <memory>; mind the unit."
        )
        sources = [
            one.get("network") or one.get("bridge") for one in said.iterfind("devices/interface/source")
        ]
        assert network in sources or lab.host.kvm_host.bridge in sources, (
            f"`{name}` has {' and '.join(filter(None, sources)) or 'nothing'} for a network. I expected a "
            f"card on the network `{network}`."
        )
        return f"`{name}` is defined: one CPU, 512 MiB, its own overlay, and a card on `{network}`."

    return guests.any_of(guests.of_lab(seat, lab), test)


@defined.broken_by
def _(seat, lab):
    import libvirt

    for guest in guests.of_lab(seat, lab):
        guest.setMemoryFlags(256 << 10, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        guest.setMemoryFlags(256 << 10, libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_MEM_MAXIMUM)


# ssh
@check(
    "The guest runs, and answers over SSH with its own name",
    task="ssh",
    hint="`virsh domifaddr` has its address, `virsh console` shows what it says while it boots.",
    seconds=40,
)
def reachable(seat, lab):
    def test(guest):
        name = ask(seat, lab, guest).get("name", "nothing")
        assert name.partition(".")[0] == guest.name(), (
            f"I logged in to `{guest.name()}`, and it calls itself '{name}'. I expected its own name: it is "
            "given in the first <entry> of its <sysinfo>, and <smbios mode='sysinfo'/> must be there too."
        )
        return f"`{guest.name()}` answers over SSH at {guests.address(seat, guest)} and knows its name."

    return guests.any_of(guests.of_lab(seat, lab), test)


@reachable.broken_by
def _(seat, lab):
    """Pull the network cable of all of them. They go on running."""
    import libvirt

    for guest in guests.of_lab(seat, lab):
        card = guests.tree(guest).find("devices/interface")
        link = card.find("link")
        if link is None:
            link = card.makeelement("link", {})
            card.append(link)
        link.set("state", "down")
        guest.updateDeviceFlags(_text(card), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _text(element):
    from xml.etree import ElementTree

    return ElementTree.tostring(element, encoding="unicode")


# page
def served(seat, lab, guest):
    """The page of a guest's web server, as the host gets it."""
    where = guests.address(seat, guest)
    try:
        answer = seat.http.get(f"http://{where}/", timeout=patience.seconds(2))
    except requests.ConnectionError:
        raise AssertionError(
            f"I asked http://{where}/ (`{guest.name()}`) and nobody answered on port 80. Does "
            "the web server run in the guest, and does it listen on every address? `ss -ltn`, inside, lists "
            "who listens where."
        ) from None
    except requests.Timeout:
        raise AssertionError(
            f"I asked http://{where}/ (`{guest.name()}`) and waited {patience.seconds(2)} seconds for "
            "nothing."
        ) from None
    return where, answer


@check(
    "A page with your own word, served by the guest, can be read from the host",
    task="page",
    hint="The guest has busybox, and busybox has a web server: `busybox httpd --help`, inside.",
    after=["reachable"],
    seconds=40,
)
def page(seat, lab):
    word = lab.values["word"]

    def test(guest):
        where, answer = served(seat, lab, guest)
        assert answer.ok and word in answer.text, (
            f"http://{where}/ (`{guest.name()}`) answers {answer.status_code}, and your own word, `{word}` "
            f"($LAB_WORD), is not in its page. {lab.values.whose('word', answer.text)}"
            "I expected an index.html with that word."
        )
        return f"`{guest.name()}` serves your word, `{word}`, at http://{where}/."

    return guests.any_of(guests.of_lab(seat, lab), test)


@page.broken_by
def _(seat, lab):
    for guest in guests.of_lab(seat, lab):
        guests.inside(seat, lab, guest, "echo gone | sudo tee /srv/www/index.html")


# reboot
@check(
    "The guest starts with the host",
    task="reboot",
    hint="`virsh dominfo` has a line for it.",
)
def autostart(seat, lab):
    def test(guest):
        assert guest.autostart(), (
            f"`{guest.name()}` stays off when the host starts. `virsh autostart --help` says how to change "
            "that."
        )
        return f"libvirt starts `{guest.name()}` when the host starts."

    return guests.any_of(guests.of_lab(seat, lab), test)


@autostart.broken_by
def _(seat, lab):
    for guest in guests.of_lab(seat, lab):
        guest.setAutostart(False)


@check(
    "The page comes back when the guest starts anew",
    task="reboot",
    hint="What starts programs in the guest at boot? `systemctl --help` has enable.",
    after=["reachable", "page"],
    seconds=40,
)
def comes_back(seat, lab):
    def test(guest):
        name, said = guest.name(), ask(seat, lab, guest)
        unit = said.get("unit")
        assert unit, f"Nothing listens on port 80 in `{name}`. Does the page still answer?"
        assert unit.endswith(".service") and not unit.startswith(
            ("ssh", "serial-getty", "user@", "session")
        ), (
            f"The web server of `{name}` was started by hand (it belongs to {unit}), so it "
            "ends with the guest. Let systemd start it: a unit in /etc/systemd/system with [Install], then "
            "`systemctl enable`."
        )
        assert said.get("UnitFileState") not in (
            None,
            "",
            "disabled",
            "transient",
            "enabled-runtime",
            "not-found",
        ), (
            f"{unit} runs in `{name}`, and is {said.get('UnitFileState') or 'not enabled'}: after the next "
            f"boot it will not be there. `sudo systemctl enable {unit.removesuffix('.service')}`, inside."
        )
        seconds = int(said.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
        assert seconds < patience.seconds(120), (
            f"{unit} is enabled in `{name}`, and the server that runs now was started {seconds:.0f} seconds "
            "after the boot, by somebody. Restart the guest once and see it come back by itself: "
            f"`virsh reboot {name}`."
        )
        served(seat, lab, guest)
        return f"{unit} in `{name}` is enabled, and the guest's own start has started it."

    return guests.any_of(guests.of_lab(seat, lab), test)


@comes_back.broken_by
def _(seat, lab):
    for guest in guests.of_lab(seat, lab):
        guests.inside(seat, lab, guest, "sudo systemctl disable lab-page 2>/dev/null; true")


# second
@check(
    "Two guests share the base, and a file in one is not in the other",
    task="second",
    hint="Two overlays, two definitions, each with its own name and disk. Then `touch only-here` in one.",
    after=["overlay", "reachable"],
    seconds=40,
)
def isolated(seat, lab):
    every, known = guests.of_lab(seat, lab), guests.volumes(seat, lab)
    assert len(every) > 1, (
        f"There is one guest, `{every[0].name()}`. I expected a second one, with a name and a disk of "
        "its own."
    )
    up, failures = [], []
    for guest in every:
        try:
            up.append((guest, ask(seat, lab, guest)))
        except AssertionError as error:
            failures.append(error)
    if len(up) < 2:
        raise failures[0]
    files = {}
    for guest, _ in up:
        disk = guests.volume(seat, guests.disks(seat, guests.tree(guest))[0], known)
        builds_upon_base(seat, lab, disk)
        other = files.setdefault(disk.path, guest.name())
        assert other == guest.name(), f"`{other}` and `{guest.name()}` write to the same disk, {disk.name}."
    have = [guest.name() for guest, said in up if said.get("file") == "yes"]
    names = " and ".join(f"`{guest.name()}`" for guest, _ in up)
    assert have, (
        f"I looked for /home/lab/{FILE} in {names} and found it in neither. Make it in one of them: "
        f"`touch {FILE}`, over SSH."
    )
    assert len(have) < len(up), (
        f"/home/lab/{FILE} is in {names}. I expected it in one of them only: remove it from the other."
    )
    return f"{names} start from the same {lab.host.vm_image.volume}; {FILE} is in `{have[0]}` only."


@isolated.broken_by
def _(seat, lab):
    for guest in guests.of_lab(seat, lab):
        guests.inside(seat, lab, guest, f"touch {FILE}")
