#!/usr/bin/env python3
"""Hub and board under a class: all seats report, some students work, instructors look.

Hub, proxy, board and browser are real; the seats are simulated, what they post is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
from tornado.httpclient import AsyncHTTPClient

from virtlab import catalogue
from virtlab.catalogue import Lab

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/classroom"))

from classhub import INSTRUCTOR, ClassHub, running  # noqa: E402

OFTEN = 5.0  # seconds between two reports of a seat, as in virtlab.server.board
TICKS = os.sysconf("SC_CLK_TCK")


def lab_report(lab: Lab, passed: int) -> dict[str, Any]:
    checks = [
        {"id": f"check_{at}", "task": task.id, "state": "pass" if at < passed else "fail",
         "first_passed": 60.0 * (passed - at) if at < passed else None}
        for at, task in enumerate(2 * lab.tasks)
    ]  # fmt: skip
    said = [{"id": one["id"], "title": "What must be true", "message": "So it is. " * 10} for one in checks]
    return {"phase": "started", "started": 1800.0, "completed": None, "checks": checks, "helped": [],
            "hints": {lab.tasks[0].id: 2}, "answers": [], "said": said}  # fmt: skip


class Load:
    """All seats, and what their posts took."""

    def __init__(self, hub: ClassHub, tokens: dict[str, str]) -> None:
        self.hub, self.tokens = hub, tokens
        self.labs = [one for one in catalogue.every() if isinstance(one, Lab)]
        self.took: list[float] = []
        self.failed = 0
        self.dice = random.Random(4)  # noqa: S311
        AsyncHTTPClient.configure(None, max_clients=len(tokens) + 10)

    async def post(self, who: str, said: dict[str, Any]) -> None:
        began = time.perf_counter()
        answer = await AsyncHTTPClient().fetch(
            f"{self.hub.data.board_url}/services/board/api/report", method="POST", body=json.dumps(said),
            headers={"Authorization": f"token {self.tokens[who]}"}, raise_error=False, request_timeout=30,
        )  # fmt: skip
        self.took.append(time.perf_counter() - began)
        self.failed += answer.code != 200

    def report(self, passed: int | None) -> dict[str, Any]:
        said: dict[str, Any] = {"busy": [], "used": self.dice.random() * 60, "visitors": [], "read": []}
        if passed is not None:
            said["labs"] = {one.slug: lab_report(one, passed) for one in self.labs}
        return said

    async def seat(self, who: str, end: float) -> None:
        await asyncio.sleep(self.dice.random() * OFTEN)
        passed = 0
        await self.post(who, self.report(passed))
        while time.monotonic() < end:
            await asyncio.sleep(OFTEN * self.dice.uniform(0.9, 1.1))
            works = self.dice.random() < 0.2
            passed += works
            await self.post(who, self.report(passed if works else None))

    async def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        await asyncio.gather(*(self.seat(who, end) for who in self.tokens))


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """MiB resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def timed(session: requests.Session, url: str, times: int) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        session.get(url, timeout=30, headers={"Sec-Fetch-Mode": "navigate"}).raise_for_status()
        took.append(time.perf_counter() - began)
        time.sleep(0.2)
    return took


def drawn(hub: ClassHub, times: int) -> list[float]:
    """In Chromium, from asking for the page until all rows are drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or "/usr/bin/chromium",
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.goto(hub.data.link(INSTRUCTOR))
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("tbody tr")
        took = []
        for _ in range(times):
            page.reload()
            page.wait_for_selector("tbody tr")
            took.append(page.evaluate("performance.getEntriesByName('board-drawn')[0].startTime") / 1000)
        browser.close()
    return took


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def measure(students: int, seconds: float) -> dict[str, float]:
    roster = [{"id": f"s{at:03}", "name": f"Student {at:03}"} for at in range(students)]
    with (
        tempfile.TemporaryDirectory(prefix="virtlab-bench-", dir="/var/tmp") as folder,
        running(Path(folder), students=roster, labs=[]) as hub,
    ):
        began = time.perf_counter()
        tokens = {one["id"]: hub.token(one["id"]) for one in roster}
        result = {"log in and get a token, each": (time.perf_counter() - began) / students}
        load = Load(hub, tokens)
        pids = {name: hub.child(mark) for name, mark in
                (("hub", "jupyterhub\0"), ("board", "classroom.board"), ("proxy", "configurable-http"))}
        before = {name: processor(pid) for name, pid in pids.items()}
        since = time.monotonic()
        session = hub.logged_in(INSTRUCTOR)
        page = f"{hub.url}/services/board/"

        async def all_of_it() -> tuple[list[float], list[float], list[float]]:
            running_load = asyncio.create_task(load.run(seconds))
            await asyncio.sleep(min(2 * OFTEN, seconds / 2))
            pages = await asyncio.to_thread(timed, session, page, 20)
            tables = await asyncio.to_thread(timed, session, f"{page}api/class.csv", 10)
            shown = await asyncio.to_thread(drawn, hub, 5)
            await running_load
            return pages, tables, shown

        pages, tables, shown = asyncio.run(all_of_it())
        wall = time.monotonic() - since
        result |= {
            "board page, median": statistics.median(pages), "board page, 95 %": p95(pages),
            "board page drawn in Chromium, median": statistics.median(shown),
            "table (CSV), median": statistics.median(tables),
            "a seat's report, median": statistics.median(load.took), "a seat's report, 95 %": p95(load.took),
            "reports a second": len(load.took) / wall, "reports that failed": load.failed,
        }  # fmt: skip
        for name, pid in pids.items():
            result[f"{name}, share of a processor"] = (processor(pid) - before[name]) / wall
            result[f"{name}, MiB"] = memory(pid)
        return result


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--students", type=int, default=200)
    options.add_argument("--seconds", type=float, default=40)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    result = measure(given.students, given.seconds)
    if given.json:
        print(json.dumps(result))
        return
    print(f"| {given.students} students, {len(os.sched_getaffinity(0))} processors | |\n|---|---|")
    for name, value in result.items():
        is_time = not any(word in name for word in ("MiB", "share", "reports"))
        print(f"| {name} | {f'{value * 1000:.0f} ms' if is_time else f'{value:.2f}'} |")


if __name__ == "__main__":
    main()
