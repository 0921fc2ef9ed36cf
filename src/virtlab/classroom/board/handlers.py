"""What the board answers: to instructors through the hub's login or a token, to seats by their own token."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fastjsonschema
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.web import HTTPError, RequestHandler, authenticated

from virtlab import catalogue
from virtlab.catalogue import Lab
from virtlab.classroom.accounts import normal
from virtlab.classroom.board import rows
from virtlab.classroom.board.store import Store
from virtlab.classroom.class_data import ClassData

HERE = Path(__file__).parent
LARGEST = 512 * 1024  # bytes of a report
LONGEST = 2000  # letters of a message
HANGING = 25.0  # seconds a page waits for news before it asks again
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


class Class:
    """The class as the board shows it."""

    def __init__(self, data: ClassData, store: Store) -> None:
        self.data, self.store = data, store
        self.students = data.names()

    def rows(self, since: int = 0) -> list[dict[str, Any]]:
        now, seats = self.store.clock(), self.store.seats
        every = ((one, name, seats.get(one)) for one, name in self.students.items())
        return [rows.row(*one, now) for one in every if not since or (one[2] and one[2].version > since)]

    def labs(self) -> list[str]:
        seen = {slug for one in self.store.seats.values() for slug in one.labs}
        return list(self.data.labs) or sorted(seen)

    def as_dict(self, since: int = 0) -> dict[str, Any]:
        """`here` goes by time alone, so whoever asks for what is new gets it of everybody."""
        now, seats = self.store.clock(), self.store.seats
        return {
            "version": self.store.version,
            "now": now,
            "students": self.rows(since),
            "labs": [_lab(slug) for slug in self.labs()],
            "here": {one: rows.here(seats.get(one), now) for one in self.students} if since else {},
        }


@cache
def _lab(slug: str) -> dict[str, Any]:
    found = next((one for one in catalogue.every() if one.slug == slug), None)
    if not isinstance(found, Lab):
        return {"slug": slug, "title": {"en": slug}, "tasks": []}
    tasks = [{"id": one.id, "title": dict(one.title)} for one in found.tasks]
    return {"slug": slug, "title": dict(found.title), "tasks": tasks}


class Base(RequestHandler):
    def initialize(self, about: Class) -> None:
        self.about, self.store = about, about.store

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **named: Any) -> None:
        error = named.get("exc_info", (None, None))[1]
        said = error.log_message if isinstance(error, HTTPError) and error.log_message else self._reason
        self.finish({"error": {"message": said}})

    def json(self, said: Any) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(said, ensure_ascii=False, separators=(",", ":")))

    def body(self) -> dict[str, Any]:
        if len(self.request.body) > LARGEST:
            raise HTTPError(413, "That is more than the board takes.")
        try:
            said = json.loads(self.request.body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise HTTPError(400, "The body must be a JSON object.")
        return said

    def known(self, student: str) -> str:
        if (name := normal(student)) not in self.about.students:
            raise HTTPError(404, f"There is no student {student} in this class.")
        return name


class Instructor(HubOAuthenticated, Base):  # type: ignore[misc]
    """Whom the hub lets use this service; nobody else gets past `authenticated`."""

    async def prepare(self) -> None:
        await self.hub_auth.get_user(self, sync=False)  # here, where waiting stops nobody else
        if self.request.method == "POST":
            self.check_xsrf_cookie()

    @property
    def instructor(self) -> str:
        return str(self.current_user["name"])


class Page(Instructor):
    @authenticated
    def get(self) -> None:
        data = self.about.data
        about = {"title": data.title, "languages": data.languages, "xsrf": self.xsrf_token.decode()}
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.render("page.html", language=data.languages[0], title=data.title, about=_embedded(about),
                    first=_embedded(self.about.as_dict()))  # fmt: skip


class Everybody(Instructor):
    """`?since=VERSION` answers as soon as there is something newer, with what is newer."""

    @authenticated
    async def get(self) -> None:
        since = self.get_query_argument("since", "0")
        if not since.isdigit():
            raise HTTPError(400, "`since` is a version: a number that the board said before.")
        if int(since):
            await self.store.newer(int(since), HANGING)
        self.json(self.about.as_dict(int(since)))


class Csv(Instructor):
    @authenticated
    def get(self) -> None:
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="class.csv"')
        # The mark tells Excel that it is UTF-8.
        self.finish("\ufeff" + rows.as_csv(self.about.rows(), self.about.labs()))


class Student(Instructor):
    @authenticated
    def get(self, student: str) -> None:
        name = self.known(student)
        seat = self.store.seats.get(name)
        row = rows.row(name, self.about.students[name], seat, self.store.clock())
        self.json(row | {"details": seat.labs if seat else {}, "messages": self.store.messages(name)})


class LowerHand(Instructor):
    @authenticated
    def post(self, student: str) -> None:
        self.json(self.store.hand(self.known(student), False))


class Messages(Instructor):
    """`{"to": ["ada", …], "text": "…"}`; to nobody in particular is to everybody.

    A service has no name that says anything to a student: it says from which instructor, `"from"`.
    """

    @authenticated
    def post(self) -> None:
        said = self.body()
        text, to = said.get("text"), said.get("to") or list(self.about.students)
        if not isinstance(text, str) or not 0 < len(text.strip()) <= LONGEST:
            raise HTTPError(400, f"A message has 1 to {LONGEST} letters.")
        if not isinstance(to, list):
            raise HTTPError(400, "`to` is a list of students.")
        students = [self.known(str(one)) for one in to]
        self.store.send(self.sender(said.get("from")), students, text.strip())
        self.json({"sent": len(students)})

    def sender(self, said: Any) -> str:
        if said is None or self.current_user["kind"] != "service":
            return self.instructor
        if said not in self.about.data.instructors:
            raise HTTPError(400, f"Nobody who teaches this class is called {said}.")
        return str(said)


class Seat(Base):
    """A seat, known by the token that the hub gave its server: it speaks for its own student only."""

    hub_auth: Any  # set by the routes

    def initialize(self, about: Class, hub_auth: Any = None) -> None:
        super().initialize(about)
        self.hub_auth = hub_auth

    def check_xsrf_cookie(self) -> None:
        """No cookie counts here, so there is nothing to forge."""

    async def student(self) -> str:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        is_token = scheme in ("token", "Bearer") and token
        user = await self.hub_auth.user_for_token(token, sync=False) if is_token else None
        if not user or user.get("kind") != "user":
            raise HTTPError(403, "This needs the token of a student's own server.")
        return self.known(user["name"])


class Report(Seat):
    async def post(self) -> None:
        student, said = await self.student(), self.body()
        try:
            _valid()(said)
        except fastjsonschema.JsonSchemaValueException as error:
            raise HTTPError(400, f"That is no report: {error.message}.") from None
        self.json(self.store.report(student, said))


class RaiseHand(Seat):
    async def post(self) -> None:
        student = await self.student()
        self.json(self.store.hand(student, self.body().get("up") is True))


class Health(Base):
    def get(self) -> None:
        self.json({"is": "well"})


class Visit(Instructor):
    """The student's JupyterLab. They see who visits: their own server knows who looks at its pages."""

    @authenticated
    def get(self, student: str) -> None:
        self.redirect(f"/user/{quote(self.known(student), safe='')}/lab")


def _embedded(said: Any) -> str:
    """JSON within a page, which must not end its element."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _valid() -> Callable[[Any], Any]:
    schema = json.loads((HERE / "report.schema.json").read_text(encoding="utf-8"))
    check: Callable[[Any], Any] = fastjsonschema.compile(schema)
    return check


def routes(prefix: str, about: Class, hub_auth: Any) -> list[tuple[str, type[Any], dict[str, Any]]]:
    one = r"students/([^/]+)"
    instructors: dict[str, type[Any]] = {
        "": Page, "api/class": Everybody, "api/class.csv": Csv, "api/messages": Messages,
        f"api/{one}": Student, f"api/{one}/lower": LowerHand, f"open/{one}": Visit, "api/health": Health,
    }  # fmt: skip
    seats: dict[str, type[Any]] = {"api/report": Report, "api/hand": RaiseHand}
    own: dict[str, Any] = {"about": about}
    return [
        *((prefix + path, handler, own) for path, handler in instructors.items()),
        *((prefix + path, handler, own | {"hub_auth": hub_auth}) for path, handler in seats.items()),
        (prefix + "oauth_callback", HubOAuthCallbackHandler, {}),
    ]
