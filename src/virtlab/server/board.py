"""The seat's half of the class's board: says how the learner is doing, hears what the instructor says.

Only in a class: the hub's spawner names the board in $VIRTLAB_BOARD. The seat speaks with its own token, so
it can say and hear only what is its learner's. Times go as ages: a restored machine's clock may be wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.ioloop import PeriodicCallback

from virtlab import catalogue, progress, state
from virtlab.errors import LabError, MachineError
from virtlab.server import activity
from virtlab.server.live import Live, _stamps

OFTEN = 5000  # milliseconds between two reports
GONE = 45.0  # seconds without a request: JupyterLab's pages ask every ten
PATIENCE = 10.0  # seconds for an answer

AWAY = "The class's board does not answer."


class Board:
    def __init__(self, app: Any, live: Live, url: str, token: str) -> None:
        self.app, self.live, self.url, self._token = app, live, url.rstrip("/"), token
        self.hand = False
        self.messages: list[dict[str, Any]] = []  # what the instructor said, until the learner has read it
        self._read: list[int] = []
        self._sent: Any = None  # of what the board knows how the labs stand
        self._told: Any = None
        self._one = asyncio.Lock()
        self._came: dict[str, float] = {}  # when each visitor was last heard of
        self._ticker = PeriodicCallback(self.tick, OFTEN, jitter=0.2)

    def start(self) -> None:
        settings = self.app.web_app.settings
        log = settings["log_function"]

        def noting(handler: Any) -> None:
            self._note(getattr(handler, "_current_user", None))
            log(handler)

        settings["log_function"] = noting  # every request comes by here, whatever it asks
        activity.only_deeds()
        self._ticker.start()

    @property
    def said(self) -> dict[str, Any]:
        """What the pages show of it."""
        return {"hand": self.hand, "messages": self.messages, "visitors": self.visitors()}

    def visitors(self) -> list[str]:
        """Who besides the learner looks at this JupyterLab, and so may be typing in it."""
        for page in self.live.pages:
            self._note(getattr(page, "current_user", None))
        return sorted(name for name, at in self._came.items() if time.monotonic() - at < GONE)

    def _note(self, user: Any) -> None:
        name = getattr(user, "username", "")
        if name and name != os.environ.get("JUPYTERHUB_USER"):
            self._came[name] = time.monotonic()

    async def tick(self) -> None:
        if self._one.locked():
            return  # the last report is still under way
        try:
            await self.report()
        except (LabError, OSError) as error:
            self.app.log.debug("%s", error)  # the next tick tries again
        self._tell()

    async def raise_hand(self, up: bool) -> dict[str, Any]:
        reply = await self._post("hand", {"up": up})
        self.hand = bool(reply["hand"])
        self._tell()
        return self.said

    async def read(self, number: int) -> dict[str, Any]:
        """The learner has read a message: no page shows it again."""
        self.messages = [one for one in self.messages if one["id"] != number]
        self._read.append(number)
        self._tell()
        await self.tick()
        return self.said

    async def report(self) -> None:
        async with self._one:
            now, read = _state(self.live), list(self._read)
            used = datetime.now(UTC) - self.app.web_app.last_activity()  # before what runs by itself is noted
            said: dict[str, Any] = {
                "busy": activity.note(self.app),
                "used": max(0.0, used.total_seconds()),
                "visitors": self.visitors(),
                "read": read,
            }
            if now != self._sent:
                said["labs"] = _labs(self.live)
            reply = await self._post("report", said)
            self._sent = None if reply["again"] else now
            self._read = self._read[len(read) :]
            self.hand = bool(reply["hand"])
            self.messages = [one for one in reply["messages"] if one["id"] not in self._read]

    def _tell(self) -> None:
        if (said := self.said) != self._told:
            self._told = said
            for page in list(self.live.pages):
                page.tell({"class": said})

    async def _post(self, what: str, said: dict[str, Any]) -> dict[str, Any]:
        request = HTTPRequest(
            f"{self.url}/api/{what}", method="POST", body=json.dumps(said, ensure_ascii=False).encode(),
            headers={"Authorization": f"token {self._token}"}, request_timeout=PATIENCE,
            connect_timeout=PATIENCE,
        )  # fmt: skip
        try:
            answer = await AsyncHTTPClient().fetch(request)
        except (HTTPError, OSError) as error:
            raise MachineError(f"{AWAY} {error}", do="Go on working, and try again in a minute.") from None
        reply: dict[str, Any] = json.loads(answer.body)
        return reply


def joined(app: Any, live: Live) -> Board | None:
    """The class's board, if this server is a seat of a class."""
    url, token = os.environ.get("VIRTLAB_BOARD"), os.environ.get("JUPYTERHUB_API_TOKEN")
    return Board(app, live, url, token) if url and token else None


def _state(live: Live) -> Any:
    """Changes when there is something new to say of the labs."""
    return _stamps(), [(slug, one.last) for slug, one in live.watchers.items()]


def _labs(live: Live) -> dict[str, Any]:
    labs = {}
    for slug in catalogue.slugs():
        record, now = progress.read(slug), state.read(slug)
        if not record.started:
            continue
        labs[slug] = {
            "phase": now.phase,
            "started": _ago(record.started),
            "completed": _ago(record.completed),
            "checks": [
                {"id": one.id, "task": one.task, "state": one.state, "first_passed": _ago(one.first_passed)}
                for one in record.checks
            ],
            "hints": dict(record.hints),
            "helped": list(record.solved),
            "answers": [asdict(one) for one in record.answers],
            "said": _said(live, slug),
        }
    return labs


def _said(live: Live, slug: str) -> list[dict[str, Any]]:
    """What the checks say where somebody watches, in words."""
    watcher = live.watchers.get(slug)
    grade = (watcher.last or {}).get("grade") if watcher else None
    every = grade["results"] if grade else ()
    return [{name: one.get(name) for name in ("id", "title", "message")} for one in every]


def _ago(at: str | None) -> float | None:
    if not at:
        return None
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
