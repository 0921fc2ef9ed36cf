"""What the pages ask over HTTP, and the WebSocket through which they hear of changes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado.web import authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from virtlab import messages
from virtlab.errors import LabError
from virtlab.server import command
from virtlab.server.live import Live
from virtlab.server.opening import opened

SLUG = r"(\d\d-[a-z0-9-]+)"


class Base(APIHandler):
    """Authenticated like everything of Jupyter's."""

    auth_resource = "virtlab"

    def initialize(self, live: Live) -> None:
        self.live = live

    async def answer(self, ask: Callable[[], Awaitable[Any]]) -> None:
        try:
            said = await ask()
        except LabError as error:
            self.set_status(409)
            said = messages.error(error).as_dict()
        self.finish(json.dumps(said, ensure_ascii=False))

    def said(self) -> dict[str, Any]:
        body = self.get_json_body()
        return body if isinstance(body, dict) else {}


class Labs(Base):
    @authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(self.live.labs)


class Open(Base):
    """The guide's place, with a terminal ready beside it."""

    @authenticated
    @authorized
    async def post(self, slug: str) -> None:
        async def ask() -> Any:
            return opened(slug, self.settings)

        await self.answer(ask)


class Start(Base):
    @authenticated
    @authorized
    async def post(self, slug: str) -> None:
        await self.answer(lambda: command.lab("start", slug))


class Hint(Base):
    @authenticated
    @authorized
    async def post(self, slug: str) -> None:
        words = ["hint", slug, *([str(self.said()["task"])] if self.said().get("task") else [])]
        await self.answer(lambda: command.lab(*words))


class Show(Base):
    """`lab open`: the pages that are open show a lab."""

    @authenticated
    @authorized
    async def post(self) -> None:
        pages = self.live.show(str(self.said().get("lab", "")))
        self.finish(json.dumps({"pages": pages}))


class Socket(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """One page. It says `{"watch": SLUG}` and `{"unwatch": SLUG}`."""

    auth_resource = "virtlab"

    def initialize(self, live: Live) -> None:
        self.live = live

    @ws_authenticated
    async def get(self, *arguments: Any, **named: Any) -> None:
        await super().get(*arguments, **named)

    def open(self, *arguments: Any, **named: Any) -> None:
        super().open(*arguments, **named)
        self.live.join(self)

    def on_message(self, message: str | bytes) -> None:
        try:
            said = json.loads(message)
        except ValueError:
            return
        if isinstance(said, dict):
            self.live.heard(self, said)

    def on_close(self) -> None:
        self.live.leave(self)

    def tell(self, said: dict[str, Any]) -> None:
        try:
            self.write_message(json.dumps(said, ensure_ascii=False))
        except WebSocketClosedError:
            self.live.leave(self)


def routes(base_url: str, live: Live) -> list[tuple[str, type[Any], dict[str, Live]]]:
    handlers: dict[str, type[Any]] = {
        "labs": Labs, f"labs/{SLUG}/open": Open, f"labs/{SLUG}/start": Start, f"labs/{SLUG}/hint": Hint,
        "show": Show, "live": Socket,
    }  # fmt: skip
    return [(url_path_join(base_url, "virtlab", path), one, {"live": live}) for path, one in handlers.items()]
