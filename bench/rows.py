"""What is measured. A row makes its own state and takes it away again; nobody's progress is touched."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import live
from measure import LAB, PYTHON, ROOT, CannotMeasureError, as_json, median, run, wait_for
from memory import standing_services

HOST_D = Path("/var/lib/virtlab/host.d")


@dataclass(frozen=True)
class Figure:
    what: str
    measured: str
    goal: str
    command: str


@dataclass(frozen=True)
class Row:
    name: str
    what: str
    command: str
    measure: Callable[[], list[Figure]]
    destructive: bool = False


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def rows(times: int) -> list[Row]:
    return [
        Row("up", "`lab up` from bare, and a plain script", "bench/floor.sh", up_from_bare, True),
        Row("second-up", "the second `lab up`", "./lab up --yes", second_up),
        Row("help", "`lab --help`", "./lab --help", partial(help_, times)),
        Row("memory-command", "the command's own memory", "./lab list", memory_of_the_command),
        Row("memory-services", "all standing services together", "bench/memory.py", memory_of_services),
        *(
            Row(f"lab-{slug[:2]}", f"lab {slug}: start, grade, solve, finish", f"./lab start {slug[:2]} …",
                partial(lab, slug, times))
            for slug in labs()
        ),
        Row("live", "following lab 05 while nobody does anything; seeing what somebody does", "bench/live.py",
            following),
        Row("testinfra", "the checks of lab 05 under pytest and testinfra", "pytest bench/testinfra_05.py",
            partial(testinfra, times)),
        Row("wordpress", "WordPress from nothing to its article over HTTP", "", wordpress),
        Row("guest", "first guest from nothing to SSH", "./lab start 10 && ./lab solve 10", guest),
    ]  # fmt: skip


def labs() -> list[str]:
    return sorted(file.parent.name for file in ROOT.glob("labs/*/lab.yml"))


def made_by(*words: str) -> str:
    return " ".join(words).replace(f"{ROOT}/", "./")


# The lab host


def second_up() -> list[Figure]:
    first = as_json([LAB, "up", "--yes"])
    done = run([LAB, "up", "--yes", "--json"])
    changed = json.loads(done.output)["changed"]
    said = f"{seconds(done.seconds)}, {changed} changed"
    if changed:
        said += f" (the one before: {first['changed']})"
    return [Figure("the second `lab up`", said, "≤ 10 s, 0 changed", "./lab up --yes")]


def up_from_bare() -> list[Figure]:
    floor = [str(ROOT / "bench/floor.sh")]
    bare()
    try:
        least = run([*floor, "up"]).seconds
    finally:
        run([*floor, "down"], codes=range(256))
    bare()
    ours = run([LAB, "up", "--yes"]).seconds
    return [
        Figure("floor: a plain script doing the same apt, image and start work", seconds(least), "",
               "bench/floor.sh up"),
        Figure("`lab up` from bare (packages, images and guest image removed)",
               f"{seconds(ours)}, {ours / least:.2f} × the floor", "≤ 1.3 × the floor", "./lab up --yes"),
    ]  # fmt: skip


def bare() -> None:
    run([LAB, "down", "--yes", "--purge"])
    run(["apt-get", "clean"])


# The command


def help_(times: int) -> list[Figure]:
    taken = median(times * 2, lambda: run([LAB, "--help"]).seconds)
    return [Figure("`lab --help`", seconds(taken), "≤ 0.25 s", "./lab --help")]


def memory_of_the_command() -> list[Figure]:
    found = []
    for words in (["--help"], ["list"], ["status"], ["doctor"]):
        peak = run([LAB, *words], codes=(0, 3)).peak_mib
        goal = "≤ 60 MiB"
        found.append(
            Figure(f"largest memory of `lab {words[0]}`", f"{peak:.0f} MiB", goal, f"./lab {words[0]}")
        )
    return found


def memory_of_services() -> list[Figure]:
    parts = standing_services()
    if not parts:
        raise CannotMeasureError("nothing of the lab host runs here, or this is not root")
    detail = ", ".join(f"{name} {size:.0f}" for name, size in sorted(parts.items(), key=lambda one: -one[1]))
    total = sum(parts.values())
    what = f"all standing services together, PSS ({detail})"
    return [Figure(what, f"{total:.0f} MiB", "≤ 600 MiB", "sudo .venv/bin/python bench/memory.py")]


# A lab


@contextlib.contextmanager
def own_learner(slug: str) -> Iterator[dict[str, str]]:
    """A learner of our own, with data and files of their own; the lab is finished afterwards."""
    begun = as_json([LAB, "status"])["labs"]
    if any(one["lab"] == slug and one["phase"] not in ("new", "finished") for one in begun):
        raise CannotMeasureError(f"lab {slug} is started here; `./lab finish {slug[:2]}` first")
    with tempfile.TemporaryDirectory(prefix="virtlab-bench-") as folder:
        env = {"VIRTLAB_DATA": f"{folder}/data", "VIRTLAB_WORKSPACE": f"{folder}/work"}
        try:
            yield env
        finally:
            run([LAB, "finish", slug], env=env, codes=range(256))


def lab(slug: str, times: int) -> list[Figure]:
    number = slug[:2]
    limit = "" if "libvirt: true" in (ROOT / "labs" / slug / "lab.yml").read_text() else "≤ 3 s"
    with own_learner(slug) as env:
        verb = {name: partial(run, [LAB, name, slug], env=env) for name in ("start", "solve", "finish")}
        verb["start"]()  # not counted: it fills the caches
        verb["finish"]()
        start = verb["start"]().seconds
        fresh = median(times, lambda: run([LAB, "grade", slug], env=env, codes=(0, 1)).seconds)
        solve = verb["solve"]().seconds
        solved = median(times, lambda: run([LAB, "grade", slug], env=env).seconds)
        peak = run([LAB, "grade", slug], env=env).peak_mib
        count = as_json([LAB, "grade", slug], env=env)["total"]
        finish = verb["finish"]().seconds
    return [
        Figure(f"lab {number}: start", seconds(start), limit, f"./lab start {number}"),
        Figure(f"lab {number}: grade, nothing done yet", seconds(fresh), "≤ 0.5 s", f"./lab grade {number}"),
        Figure(f"lab {number}: grade, {count} checks pass ({peak:.0f} MiB)", seconds(solved), "≤ 0.5 s",
               f"./lab grade {number}"),
        Figure(f"lab {number}: solve", seconds(solve), "", f"./lab solve {number}"),
        Figure(f"lab {number}: finish", seconds(finish), "", f"./lab finish {number}"),
    ]  # fmt: skip


def following() -> list[Figure]:
    with own_learner(live.SLUG) as env:
        cost = live.measure(env)
    alone, together = (f"{part:.2%} of one core" for part in (cost.watcher, cost.watcher + cost.docker))
    return [
        Figure("following a lab, idle: the watcher", alone, "≤ 2 %", "bench/live.py"),
        Figure("with what Docker does for it", together, "", "bench/live.py"),
        Figure("from a command's end to its task's red", seconds(cost.red), "≤ 2 s", "bench/live.py"),
        Figure("from a command's end to its task's green", seconds(cost.green), "≤ 2 s", "bench/live.py"),
    ]  # fmt: skip


def testinfra(times: int) -> list[Figure]:
    slug = "05-container-networks"
    pytest = [
        PYTHON,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "bench/testinfra_05.py",
    ]
    with own_learner(slug) as env:
        run([LAB, "start", slug], env=env)
        run([LAB, "solve", slug], env=env)
        ours = median(times, lambda: run([LAB, "grade", slug], env=env).seconds)
        words = json.loads(run([LAB, "show", slug, "--json"], env=env).output)["environment"]
        theirs = median(times, lambda: run(pytest, env=words).seconds)
    return [
        Figure("lab 05 under pytest and testinfra", seconds(theirs), "", made_by(*pytest)),
        Figure("the same outcomes with `lab grade`", f"{seconds(ours)}, {theirs / ours:.1f} × as fast",
               "≤ 0.5 s", "./lab grade 05"),
    ]  # fmt: skip


# From nothing to something that answers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wordpress() -> list[Figure]:
    """A second blog beside the standing one, with the role's own names and port."""
    port, title = free_port(), "Measured article"
    names = {"wordpress_name": "bench-wordpress", "wordpress_port": port, "wordpress_article_title": title}
    play = [str(ROOT / ".venv/bin/ansible-playbook"), "tests/roles/wordpress.yml", "-e", json.dumps(names)]
    absent = [*play, "-e", "wordpress_state=absent"]
    run(absent)
    try:
        began = time.perf_counter()
        run(play)
        wait_for(lambda: title in page(f"http://localhost:{port}/"), 60)
        taken = time.perf_counter() - began
    finally:
        run(absent, codes=range(256))
    return [Figure("WordPress from nothing to its article over HTTP, images here", seconds(taken), "",
                   "ansible-playbook tests/roles/wordpress.yml")]  # fmt: skip


def page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return str(answer.read().decode(errors="replace"))
    except OSError:
        return ""


def guest() -> list[Figure]:
    """Lab 10's start and solution, until its guest lets us in over SSH."""
    slug = next((one for one in labs() if one.startswith("10")), "")
    if not slug or not (HOST_D / "vm_image.json").exists():
        raise CannotMeasureError("there is no lab 10 or no guest image here")
    host, image = (json.loads((HOST_D / f"{name}.json").read_text()) for name in ("kvm_host", "vm_image"))
    before = {one for one in leases(host) if lets_in(image, one)}
    with own_learner(slug) as env:
        began = time.perf_counter()
        run([LAB, "start", slug], env=env)
        with subprocess.Popen(
            [LAB, "solve", slug], cwd=ROOT, env=os.environ | env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as solving:  # fmt: skip
            wait_for(lambda: any(lets_in(image, one) for one in leases(host) - before), 300)
            taken = time.perf_counter() - began
            solving.wait(600)
    how = "KVM" if host["domain_type"] == "kvm" else "emulated"
    return [
        Figure(
            f"first guest from nothing to SSH ({how})", seconds(taken), "", "./lab start 10 && ./lab solve 10"
        )
    ]


def leases(host: dict[str, str]) -> set[str]:
    said = run(["virsh", "-c", host["uri"], "net-dhcp-leases", host["network"]], codes=range(256)).output
    return {word.partition("/")[0] for line in said.splitlines() for word in line.split() if "/" in word}


def lets_in(image: dict[str, str], address: str) -> bool:
    options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ConnectTimeout=1",
    ]
    words = [word for one in options for word in ("-o", one)]
    ssh = ["ssh", "-i", image["ssh_key"], *words, f"{image['user']}@{address}", "true"]
    return run(ssh, codes=range(256)).code == 0
