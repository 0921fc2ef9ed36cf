"""The running hub and its board, asked on the hub's machine as the service `lab`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from virtlab.classroom.class_data import ClassData
from virtlab.errors import MachineError, UsageError

if TYPE_CHECKING:
    import requests

ANSWER = 20.0  # seconds for one answer
STOP = 180.0  # seconds until a server is down: the guest may take its time


class Front:
    def __init__(self, data: ClassData) -> None:
        self._data = data

    def stop(self, who: str, patience: float = STOP) -> None:
        """Stop somebody's server, so that the hub knows; it may be down already, or never have been."""
        user = f"{self._data.hub_url}/hub/api/users/{quote(who, safe='')}"
        end = time.monotonic() + patience
        while time.monotonic() < end:
            answer = self._ask("GET", user)
            if answer.status_code == 404:  # never logged in
                return
            about = _said(answer)
            if "" not in about["servers"]:
                return
            if about["pending"] == "spawn":
                raise MachineError(
                    f"The server of {who} is just being started.", do="Wait until it runs, and try again."
                )
            if about["pending"] is None:
                self._ask("DELETE", f"{user}/server")  # whether it took shows in the next look
            time.sleep(0.5)
        raise MachineError(
            f"The hub did not stop the server of {who} within {patience:.0f} seconds.",
            do="The hub's log says what it waits for; then try again.",
        )

    def moved(self, owner: str) -> None:
        """A seat runs on another host now: let the hub look for it, if it has a server there.

        It looks when somebody asks to start what runs already, and answers that it does.
        """
        who, _, server = owner.rpartition("--")  # one of several servers of theirs; or a name with dashes
        for name, its in ((owner, ""), (who, server)):
            user = f"{self._data.hub_url}/hub/api/users/{quote(name, safe='')}"
            answer = self._ask("GET", user)
            if not name or answer.status_code == 404:
                continue
            about = _said(answer)["servers"].get(its)
            if about and about["ready"]:
                where = f"{user}/servers/{quote(its, safe='')}" if its else f"{user}/server"
                answer = self._ask("POST", where)
                if answer.status_code != 400:
                    _said(answer)
            return

    def send(self, to: Iterable[str], text: str, sender: str | None) -> int:
        """A message to students' pages: to how many."""
        body = {"to": list(to), "text": text, "from": sender}
        said = _said(self._ask("POST", f"{self._data.board_url}/services/board/api/messages", body))
        return int(said["sent"])

    def _ask(self, method: str, url: str, body: Any = None) -> requests.Response:
        import requests

        try:
            token = self._data.secret("lab")
        except PermissionError as error:
            raise MachineError(
                f"I may not read the class's token in {error.filename}.",
                do="Run it as the user whom the hub runs as, or as root.",
            ) from None
        with requests.Session() as session:
            session.trust_env = False  # the hub is here: no proxy leads to it
            session.headers["Authorization"] = f"token {token}"
            try:
                return session.request(method, url, json=body, timeout=ANSWER)
            except requests.RequestException as error:
                raise MachineError(
                    f"The class's hub does not answer at {url.partition('/hub/')[0]}: {_why(error)}.",
                    do="`lab classroom up -i DIR` starts it again.",
                ) from None


def _said(answer: requests.Response) -> Any:
    try:
        said = answer.json()
    except ValueError:
        said = {}
    if answer.ok:
        return said
    why = said.get("message") or (said.get("error") or {}).get("message") or answer.reason
    kind = UsageError if answer.status_code in (400, 404) else MachineError
    raise kind(
        f"The hub refused: {str(why).rstrip('.')} ({answer.status_code}).",
        do="" if kind is UsageError else "`lab classroom up -i DIR` brings the hub up to date.",
    )


def _why(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return f"no answer within {ANSWER:.0f} seconds"
    if isinstance(error, requests.ConnectionError):
        return "nothing listens there"
    return " ".join(str(error).split())[:200]
