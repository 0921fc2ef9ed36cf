"""All tests, on this machine: it is made a lab host first. `--fast` leaves out what needs one."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree  # our own pytest wrote it

from virtlab import claims, paths, render, root, tooling
from virtlab.errors import Exit

LIMIT = 20 * 60  # seconds; a part that takes longer hangs
LIMITS = {"vagrant": 3 * 60 * 60, "classroom": 3 * 60 * 60}  # machines in a machine, emulated
SLOWEST = 8
SHOWN = 200  # lines of a failed part
# What pytest runs. Two workers get whole files, or all that is about one lab, answers and guide, because that
# shares containers. A proof compares the whole machine with before: one at a time. Roles share its daemons.
UNIT = ["-n2", "--dist=loadfile", "tests/unit"]
PROOFS = "tests/labs/test_proofs.py"
PYTEST = {
    "unit": [*UNIT, "-m", "not host"],
    "host": [*UNIT, "-m", "host"],
    "roles": ["tests/roles"],
    "proofs": [PROOFS],
    "labs": ["-n2", "--dist=loadscope", "--no-loadscope-reorder", "tests/labs", "tests/notebooks",
             f"--ignore={PROOFS}"],
    "browser": ["tests/browser"],
    "vagrant": ["tests/vagrant"],
    "classroom": ["tests/classroom"],
}  # fmt: skip
ASKED = ("vagrant", "classroom")  # long: only when asked for, and then alone
BESIDE = ("unit",)  # needs nothing of the machine


@dataclass
class Part:
    name: str
    command: list[str]
    seconds: float = 0.0
    code: int = 0
    output: str = ""
    tests: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        return self.code != 0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fast", action="store_true", help="leave out what needs a lab host")
    parser.add_argument("--vagrant", action="store_true", help="only `vagrant up`, from box to destroy; long")
    parser.add_argument(
        "--classroom", action="store_true", help="only a class: hub, browser, seats on KVM hosts; long"
    )
    parser.add_argument("-k", metavar="EXPR", default="", help="only these tests, as pytest's -k")


def run(options: argparse.Namespace) -> render.Result:
    began = time.monotonic()
    if not options.fast:
        for claim in claims.running():
            raise claims.refused(claim)
        root.become("`lab test` makes this machine a lab host; that", sys.argv[1:])
    asked = [name for name in ASKED if getattr(options, name)]
    tooling.install(
        browser=options.classroom or not (options.fast or asked),
        vagrant=options.vagrant,
        classroom=options.classroom,
    )
    was_there = paths.HOST_D.exists()
    before = None if was_there or options.fast else tooling.remains()
    names = asked or [name for name in PYTEST if name not in ASKED]
    beside = [] if options.k or asked else _linters()
    beside += _tests([name for name in names if name in BESIDE], options.fast, options.k)
    done = _prepare(options.fast, beside)
    if not any(part.name == "up" and part.has_failed for part in done):  # nothing after it could work
        for part in _tests([name for name in names if name not in BESIDE], options.fast, options.k):
            done.append(_run(part))
    if before is not None:
        done.append(_take_down(before))
    return _result(done, time.monotonic() - began)


def _linters() -> list[Part]:
    return [
        Part("ruff", [tooling.program("ruff"), "check", "--quiet", "."]),
        Part("mypy", [tooling.program("mypy"), "--no-error-summary"]),
        Part("yamllint", [tooling.program("yamllint"), "--strict", "."]),
        Part("ansible-lint", [tooling.program("ansible-lint"), "-q", "--nocolor"]),
    ]


def _prepare(fast: bool, parts: list[Part]) -> list[Part]:
    """What needs no lab host goes on while the machine is made one, which mostly waits for downloads."""
    with ThreadPoolExecutor(1) as beside:
        running = beside.map(_execute, parts)
        up = [] if fast else [_run(Part("up", [str(paths.ROOT / "lab"), "up", "--yes"]))]
        return [*up, *(_report(part, named=False) for part in running)]


def _tests(names: list[str], fast: bool, expression: str) -> Iterator[Part]:
    for name in names:
        if fast and "host" in PYTEST[name]:
            continue
        report = tooling.scratch() / f"{name}.xml"
        report.unlink(missing_ok=True)
        chosen = [*(["-k", expression] if expression else []), *(["-m", "not host"] if fast else [])]
        pytest = [sys.executable, "-m", "pytest", "-q", *PYTEST[name], f"--junit-xml={report}", *chosen]
        yield Part(name, [*pytest, "-o", f"cache_dir={tooling.scratch() / 'pytest'}"])


def _run(part: Part) -> Part:
    sys.stderr.write(f"{part.name:<13}")
    sys.stderr.flush()
    return _report(_execute(part))


def _execute(part: Part) -> Part:
    began, limit = time.monotonic(), LIMITS.get(part.name, LIMIT)
    try:
        done = subprocess.run(
            part.command, cwd=paths.ROOT, env=tooling.environment(), stdin=subprocess.DEVNULL, timeout=limit,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
        part.code, part.output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        part.code, part.output = 124, f"{_text(late.output)}\nIt did not end within {limit // 60} minutes."
    part.seconds = time.monotonic() - began
    _count(part)
    return part


def _report(part: Part, *, named: bool = True) -> Part:
    summary = ", ".join(f"{count} {what}" for what, count in part.counts.items() if count)
    name = "" if named else f"{part.name:<13}"
    sys.stderr.write(f"{name}{'FAILED' if part.has_failed else 'ok':<7}{part.seconds:6.1f} s  {summary}\n")
    if part.has_failed:
        lines = part.output.rstrip().splitlines()
        cut = [f"… {len(lines) - SHOWN} lines before"] if len(lines) > SHOWN else []
        sys.stderr.write("\n".join([*cut, *lines[-SHOWN:], "", ""]))
    return part


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _count(part: Part) -> None:
    """A part without tests of its own, a linter, counts as one."""
    if part.name in PYTEST:
        if part.code == 5:  # pytest found nothing to run under -k or -m
            part.code = 0
        report = tooling.scratch() / f"{part.name}.xml"
        if report.exists():
            _read(part, report)
            return
    part.counts = {"failed": 1} if part.has_failed else {"passed": int(part.name not in PYTEST)}


def _read(part: Part, report: Path) -> None:
    part.counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314
        bad = case.find("failure") is not None or case.find("error") is not None
        kind = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        part.counts[kind] += 1
        part.tests[f"{part.name}: {case.get('name')}"] = float(case.get("time") or 0)
    if part.has_failed and not part.counts["failed"]:
        part.counts["failed"] = 1  # it did not get as far as a test


def _take_down(before: set[str]) -> Part:
    """The machine was bare: that `lab down` leaves it so is a test as well."""
    part = Part("down", [str(paths.ROOT / "lab"), "down", "--yes"])
    _run(part)
    left = sorted(tooling.remains() - before)
    if left and not part.has_failed:
        part.code, part.counts = 1, {"failed": 1}
        sys.stderr.write("".join(f"  left behind: {thing}\n" for thing in left))
    return part


def _result(done: list[Part], seconds: float) -> render.Result:
    total = {what: sum(part.counts.get(what, 0) for part in done) for what in ("passed", "failed", "skipped")}
    times = {part.name: part.seconds for part in done} | {
        n: t for part in done for n, t in part.tests.items()
    }
    slowest = sorted(times.items(), key=lambda one: -one[1])[:SLOWEST]
    lines = ["", f"Slowest of {seconds:.0f} s:", *(f"  {took:6.1f} s  {name}" for name, took in slowest), ""]
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    lines.append(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    parts = [
        {"name": part.name, "ok": not part.has_failed, "seconds": round(part.seconds, 1), **part.counts}
        for part in done
    ]
    data = {
        **total, "seconds": round(seconds, 1), "slowest": dict(slowest),
        "parts": parts,
    }  # fmt: skip
    return render.Result(data, "\n".join(lines), Exit.FAILED if total["failed"] else Exit.OK)
