"""Telling the pages what has changed: the catalogue's state, and how each watched lab stands.

Nothing runs while no page is open. A lab is watched by one process, however many pages look at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any, Protocol

from tornado.ioloop import PeriodicCallback

from virtlab import catalogue, lifecycle, messages, paths, state, summary
from virtlab.errors import LabError
from virtlab.server import command

TICK = 1000  # milliseconds between two looks at what the learner's data and kernels say
GRACE = 5.0  # seconds a watcher outlives its last page: a page that is loaded again finds it


class Page(Protocol):
    def tell(self, said: dict[str, Any]) -> None: ...


class Live:
    def __init__(self, app: Any) -> None:
        self.app = app
        self.pages: dict[Page, set[str]] = {}
        self.drawing: set[tuple[Page, str]] = set()
        self.watchers: dict[str, Watcher] = {}
        self._ticker = PeriodicCallback(self._tick, TICK)
        self._shown: dict[str, tuple[str, bool]] = {}
        self._known: Any = None
        self._busy: Any = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refreshing: asyncio.Task[Any] | None = None

    # What a page does

    def join(self, page: Page) -> None:
        self.pages[page] = set()
        if not self._ticker.is_running():
            self._known, self._busy = _stamps(), self._activity()
            self._ticker.start()

    def leave(self, page: Page) -> None:
        for slug in self.pages.pop(page, set()):
            self._rest(page, slug)
            self._release(slug)
        if not self.pages:
            self._ticker.stop()

    def heard(self, page: Page, said: dict[str, Any]) -> None:
        if page not in self.pages:
            return
        wanted = {verb: str(said.get(verb)) for verb in ("watch", "unwatch", "draw", "rest")}
        if (slug := wanted["watch"]) in catalogue.slugs():
            self.pages[page].add(slug)
            self._stand(slug, [page])
            self._watch(slug)
            if (watcher := self.watchers.get(slug)) and watcher.last:
                page.tell(watcher.last)
        if (slug := wanted["draw"]) in self.pages[page]:
            self.drawing.add((page, slug))
            if watcher := self.watchers.get(slug):
                watcher.draw()
                if watcher.drawn:
                    page.tell(watcher.drawn)
        self._rest(page, wanted["rest"])
        if (slug := wanted["unwatch"]) in self.pages[page]:
            self.pages[page].discard(slug)
            self._rest(page, slug)
            self._release(slug)
        if said.get("labs"):
            self.refresh()

    def show(self, wanted: str) -> int:
        """Have the page that was opened last show a lab; how many pages there are."""
        if self.pages and wanted in catalogue.slugs():
            list(self.pages)[-1].tell({"show": wanted})
        return len(self.pages)

    # The catalogue

    async def labs(self) -> Any:
        return await command.lab("list", "--can-run")

    def refresh(self) -> None:
        """Tell every page the catalogue as it is now, but not twice at a time."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._task(self._refresh())

    async def _refresh(self) -> None:
        try:
            said = await self.labs()
        except LabError as error:
            said = {"error": messages.error(error).as_dict()}
        for page in list(self.pages):
            page.tell({"labs": said})

    # Watchers

    def tell(self, slug: str, said: dict[str, Any]) -> None:
        for page in self._watching(slug):
            page.tell(said)

    def is_drawn(self, slug: str) -> bool:
        """Whether any page shows this lab's topology."""
        return any(slug == one for _, one in self.drawing)

    def _rest(self, page: Page, slug: str) -> None:
        self.drawing.discard((page, slug))
        if watcher := self.watchers.get(slug):
            watcher.draw()

    def _watch(self, slug: str) -> None:
        if slug not in self.watchers and self._watching(slug) and state.read(slug).phase == "started":
            watcher = self.watchers[slug] = Watcher(slug, self)
            self._task(watcher.run())

    def _watching(self, slug: str) -> list[Page]:
        return [page for page, watched in self.pages.items() if slug in watched]

    def _release(self, slug: str) -> None:
        def look() -> None:
            if not self._watching(slug) and (watcher := self.watchers.get(slug)):
                watcher.stop()

        asyncio.get_running_loop().call_later(GRACE, look)

    def _stand(self, slug: str, pages: list[Page]) -> None:
        """What a page shows of a lab that is not watched, or not yet."""
        try:
            lab = lifecycle.open_lab(slug)
            tasks = [{"id": task.id, "title": task.title, "hints": len(task.hints)} for task in lab.tasks]
            phase, busy = state.read(slug).phase, state.busy(slug)
            done = summary.of(lab) if phase == "finished" else None
            said: dict[str, Any] = {
                "lab": slug, "title": lab.title, "phase": phase, "busy": busy, "tasks": tasks,
                "summary": done.as_dict() if done else None,
            }  # fmt: skip
            self._shown[slug] = (phase, busy)
        except LabError as error:
            said = {"lab": slug, "error": messages.error(error).as_dict()}
        for page in pages:
            page.tell(said)

    # What happens by itself

    def _tick(self) -> None:
        stamps = _stamps()
        if stamps != self._known:
            self._known = stamps
            self.refresh()
        for slug in {one for watched in self.pages.values() for one in watched} - set(self.watchers):
            if (state.read(slug).phase, state.busy(slug)) != self._shown.get(slug):
                self._stand(slug, self._watching(slug))
                self._watch(slug)
        if (busy := self._activity()) != self._busy:
            self._busy = busy
            for watcher in self.watchers.values():
                watcher.nudge()

    def _activity(self) -> Any:
        """What changes while cells run. Terminals are seen by the watchers themselves."""
        manager = self.app.kernel_manager
        every = [manager.get_kernel(one) for one in manager.list_kernel_ids()]
        return [(one.kernel_id, getattr(one, "last_activity", None)) for one in every]

    def _task(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)
        return task


class Watcher:
    """The process that watches one lab, for all pages."""

    def __init__(self, slug: str, live: Live) -> None:
        self.slug, self.live = slug, live
        self.last: dict[str, Any] | None = None
        self.drawn: dict[str, Any] | None = None
        self._is_drawn = False
        self._process: asyncio.subprocess.Process | None = None
        self._stopped = False

    async def run(self) -> None:
        self._process = process = await command.begin("virtlab.watch", self.slug)
        assert process.stdout and process.stderr  # noqa: S101
        drain = self.live._task(process.stderr.read())
        if self._stopped:
            self.stop()
        self.draw()
        async for line in process.stdout:
            said = json.loads(line)
            if "topology" in said:
                self.drawn = {"lab": self.slug, **said}
                self.live.tell(self.slug, self.drawn)
                continue
            self.last = {"lab": self.slug, **(said if "error" in said else {"grade": said})}
            self.live.tell(self.slug, self.last)
        code = await process.wait()
        del self.live.watchers[self.slug]
        if self._stopped:
            return
        if code < 0 or (code and "error" not in (self.last or {})):
            reason = (await drain).decode(errors="replace").strip().rpartition("\n")[2]
            problem = LabError(f"The watcher of lab {self.slug} has ended: {reason or code}.",
                               do=f"`lab grade {self.slug[:2]}` looks once; loading the page again, again.")
            self.live.tell(self.slug, {"lab": self.slug, "error": messages.error(problem).as_dict()})
        else:
            self.live._stand(self.slug, self.live._watching(self.slug))

    def nudge(self) -> None:
        self._say("")

    def draw(self) -> None:
        """Have the topology followed as well, if any page shows it."""
        if self._process and self._is_drawn != self.live.is_drawn(self.slug):
            self._is_drawn = not self._is_drawn
            self._say("draw" if self._is_drawn else "rest")

    def _say(self, word: str) -> None:
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(f"{word}\n".encode())

    def stop(self) -> None:
        self._stopped = True
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()


def _stamps() -> list[tuple[str, int]]:
    """The times of what the catalogue's state is drawn from."""
    found = []
    for folder, ends in ((paths.data() / "state", ".json"), (paths.data(), (".sqlite3", "-wal"))):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            found += [(one.name, one.stat().st_mtime_ns) for one in entries if one.name.endswith(ends)]
    return sorted(found)
