"""What the pages ask of a class: the learner's hand, and the instructor's messages."""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

from virtlab.errors import LabError
from virtlab.server.board import Board


class Class(APIHandler):
    """`GET`: what the board says; null outside of a class. `POST`: `{"hand": true}` or `{"read": 7}`."""

    auth_resource = "virtlab"

    def initialize(self, board: Board | None) -> None:
        self.board = board

    @authenticated
    @authorized
    async def get(self) -> None:
        self.finish(json.dumps(self.board.said if self.board else None, ensure_ascii=False))

    @authenticated
    @authorized
    async def post(self) -> None:
        body = self.get_json_body()
        try:
            said = await self._ask(body if isinstance(body, dict) else {})
            self.finish(json.dumps(said, ensure_ascii=False))
        except LabError as error:
            self.set_status(409)
            self.finish(json.dumps(error.as_dict(), ensure_ascii=False))

    async def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.board is None:
            raise LabError("This JupyterLab is not a seat of a class.", do="Ask whoever is beside you.")
        if isinstance(number := body.get("read"), int):
            return await self.board.read(number)
        return await self.board.raise_hand(bool(body.get("hand")))


def routes(base_url: str, board: Board | None) -> list[tuple[str, type[Any], dict[str, Any]]]:
    return [(url_path_join(base_url, "virtlab", "class"), Class, {"board": board})]
