"""Logging in to a class's hub: by the roster's accounts, or by a link that works once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from tornado import web
from tornado.ioloop import IOLoop
from traitlets import Unicode

from virtlab.classroom.accounts import Accounts, normal
from virtlab.classroom.words import both, told
from virtlab.errors import UsageError

FREE_TRIES = 5
LONGEST_WAIT = 60  # seconds: a neighbour who types wrong passwords must not shut a student out

WAIT = "Too many wrong passwords. Wait {seconds} seconds, then try again."


class Patience:
    """After a few wrong passwords each further one costs a wait, for that account from that address."""

    def __init__(self) -> None:
        self._wrong: dict[tuple[str, str], tuple[int, float]] = {}

    def left(self, who: str, where: str) -> int:
        count, last = self._wrong.get((who, where), (0, 0.0))
        wait = 0 if count < FREE_TRIES else min(LONGEST_WAIT, 2.0 ** (count - FREE_TRIES + 1))
        return max(0, round(last + wait - time.monotonic() + 0.5))

    def wrong(self, who: str, where: str) -> None:
        now = time.monotonic()
        self._wrong = {one: seen for one, seen in self._wrong.items() if now - seen[1] < 10 * LONGEST_WAIT}
        self._wrong[who, where] = self._wrong.get((who, where), (0, 0.0))[0] + 1, now

    def right(self, who: str, where: str) -> None:
        self._wrong.pop((who, where), None)


class RosterAuthenticator(Authenticator):  # type: ignore[misc]
    """Everybody on the roster, and nobody else. The accounts' file decides, so there is no list beside it."""

    folder = Unicode(help="Where the class's accounts are.", config=True)

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.allow_all = True
        self.patience = Patience()
        self.accounts = Accounts(Path(self.folder))

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        who = normal(data.get("username", ""))
        if "link" in data:
            return who if self.accounts.redeem(who, data["link"]) else None
        return who if await self.is_right(handler, who, data.get("password", "")) else None

    async def is_right(self, handler: Any, who: str, password: str) -> bool:
        where = handler.request.remote_ip
        if seconds := self.patience.left(who, where):
            raise web.HTTPError(429, WAIT.format(seconds=seconds), reason="Too Many Requests")
        # In a thread: bcrypt takes a fifth of a second, and a whole class logs in at once.
        right = await IOLoop.current().run_in_executor(None, self.accounts.is_right, who, password)
        (self.patience.right if right else self.patience.wrong)(who, where)
        return right

    async def refresh_user(self, user: Any, handler: Any = None) -> bool:
        """Who has left the roster is out, logged in or not."""
        return self.accounts.has(user.name)

    def get_handlers(self, app: Any) -> list[tuple[str, type[BaseHandler]]]:
        return [(r"/once", Once), (r"/password", Password)]


class Once(BaseHandler):  # type: ignore[misc]
    """A link logs in once. Opening it changes nothing yet: mail programs look into links as well."""

    async def _show(self, who: str, key: str, good: bool) -> None:
        self.set_status(200 if good else 403)
        self.set_header("Referrer-Policy", "no-referrer")
        self.finish(await self.render_template("once.html", who=who, key=key, good=good))

    async def get(self) -> None:
        who, key = self.get_argument("who", ""), self.get_argument("key", "")
        await self._show(who, key, self.authenticator.accounts.is_link(who, key))

    async def post(self) -> None:
        who, key = self.get_body_argument("who", ""), self.get_body_argument("key", "")
        if await self.login_user({"username": who, "link": key}):
            self.redirect(self.get_next_url(self.current_user))
        else:
            await self._show(who, key, False)


class Password(BaseHandler):  # type: ignore[misc]
    """A password of one's own; needs the one there is."""

    async def _show(self, problem: Any = "", done: bool = False) -> None:
        self.set_status(400 if problem else 200)
        self.finish(await self.render_template("password.html", problem=problem, done=done))

    @web.authenticated
    async def get(self) -> None:
        await self._show()

    @web.authenticated
    async def post(self) -> None:
        who = self.current_user.name
        now, new, again = (self.get_body_argument(name, "", strip=False) for name in ("now", "new", "again"))
        try:
            if not await self.authenticator.is_right(self, who, now):
                raise UsageError("The password now is not right.")
            if new != again:
                raise UsageError("The two new passwords differ.")
            await IOLoop.current().run_in_executor(None, self.authenticator.accounts.choose, who, new)
        except web.HTTPError as error:
            await self._show(told(error.log_message or ""))
        except UsageError as error:
            await self._show(both(error.message))
        else:
            await self._show(done=True)
