"""The way to the labs' pages: what a site is told by a real Jupyter server, and what it can do to it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from test_server import SLUG, TOKEN, Server, jupyter  # noqa: F401 (a fixture)

from virtlab import state

OWN = {"wordpress_logged_in_1": "me", "wp-settings-1": "a"}
JUPYTERS = {"_xsrf": "2|x", "username-127-0-0-1-8888": "2|secret", "jupyterhub-session-id": "s", "other": "1"}


class Site(BaseHTTPRequestHandler):
    """Says what it was told; and, asked for it, gives its visitors what it should not."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.send_response(302 if path.startswith("/to-") else 200)
        host, below = self.headers["Host"], self.headers["X-Forwarded-Prefix"]
        match path:
            case "/cookies":
                self.send_header("Set-Cookie", "wordpress_a=1; path=/; Domain=127.0.0.1; HttpOnly")
                self.send_header("Set-Cookie", f"wordpress_b=2; Path={below}/wp-admin; HttpOnly")
                self.send_header("Set-Cookie", "username-127-0-0-1-8888=stolen; path=/")
                self.send_header("Set-Cookie", "_xsrf=stolen")
                self.send_header("Clear-Site-Data", '"*"')
            case "/to-root":
                self.send_header("Location", f"http://{host}/there/?a=b")
            case "/to-path":
                self.send_header("Location", "/there/?a=b")
            case "/to-own":
                self.send_header("Location", f"{below}/there/?a=b")
            case "/to-whole":
                self.send_header("Location", f"http://{host}{below}/there/?a=b")
            case "/to-elsewhere":
                self.send_header("Location", "https://example.org/there/")
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path, "headers": dict(self.headers)}).encode())

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_lab_s_page_through_jupyter(jupyter: Server, site: int) -> None:  # noqa: F811
    """One server for many questions: starting one takes seconds."""
    at = f"{jupyter.url}/proxy/{site}"
    only_a_started_labs_ports_are_led_to(jupyter, site)
    nobody_without_the_token_gets_in(at)
    the_site_hears_nothing_of_jupyters(jupyter, at)
    the_token_in_an_address_goes_no_further(at)
    what_the_site_sets_holds_for_itself_alone(jupyter, at)
    where_it_leads_is_below_its_address(jupyter, at)
    the_way_to_it_says_what_is_missing(jupyter, site)


def only_a_started_labs_ports_are_led_to(jupyter: Server, site: int) -> None:  # noqa: F811
    assert jupyter.get(f"proxy/{site}/").status_code == 403
    state.write(SLUG, state.State(phase="started", ports={"web": site}))
    assert jupyter.get(f"proxy/{site}/").json()["path"] == "/"
    assert jupyter.get(f"proxy/{site + 1}/").status_code == 403
    for way in (f"proxy/localhost:{site}/", f"proxy/absolute/{site}/", f"proxy/127.0.0.1:{site}/"):
        assert jupyter.get(way).status_code == 404


def nobody_without_the_token_gets_in(at: str) -> None:
    answer = requests.get(f"{at}/", timeout=10, allow_redirects=False)
    assert (answer.status_code, "/login?" in answer.headers["Location"]) == (302, True)
    assert requests.post(f"{at}/", timeout=10).status_code == 403


def the_site_hears_nothing_of_jupyters(jupyter: Server, at: str) -> None:  # noqa: F811
    headers = {"Authorization": f"token {TOKEN}", "X-XSRFToken": "2|x", "Accept": "text/event-stream"}
    for referer, heard in ((f"{at}/wp-admin/", True), (f"{jupyter.url}/lab?token={TOKEN}", False),
                           (f"{at.replace('127.0.0.1', 'localhost')}/", False)):
        said = requests.get(f"{at}/page?a=%2F&b", headers={**headers, "Referer": referer},
                            cookies={**JUPYTERS, **OWN}, timeout=10).json()
        got = said["headers"]
        assert said["path"] == "/page?a=%2F&b"
        assert sorted(got["Cookie"].split("; ")) == sorted(f"{name}={value}" for name, value in OWN.items())
        assert not {"Authorization", "X-Xsrftoken"} & set(got)
        assert ("Referer" in got) is heard
        assert TOKEN not in json.dumps(said)
    said = requests.get(f"{at}/", headers=headers, cookies=JUPYTERS, timeout=10).json()
    assert "Cookie" not in said["headers"]


def the_token_in_an_address_goes_no_further(at: str) -> None:
    visitor = requests.Session()            # as a browser: Jupyter's cookie is kept
    for name in ("token", "%74oken"):
        answer = visitor.get(f"{at}/page?a=1&{name}={TOKEN}&b=%2F", timeout=10)
        assert answer.url == f"{at}/page?a=1&b=%2F"
        assert answer.json()["path"] == "/page?a=1&b=%2F"
    assert visitor.get(f"{at}/?token={TOKEN}", timeout=10).url == f"{at}/"


def what_the_site_sets_holds_for_itself_alone(jupyter: Server, at: str) -> None:  # noqa: F811
    below = at.partition("127.0.0.1")[2].partition("/")[2]
    for accept in ("text/html", "text/event-stream"):
        headers = {"Authorization": f"token {TOKEN}", "Accept": accept}
        answer = requests.get(f"{at}/cookies", headers=headers, timeout=10)
        told = answer.raw.headers.getlist("Set-Cookie")     # Jupyter's own is there, too
        assert [one for one in told if one.startswith("wordpress")] == [
            f"wordpress_a=1; Path=/{below}/; HttpOnly", f"wordpress_b=2; Path=/{below}/wp-admin; HttpOnly",
        ]  # fmt: skip
        assert "stolen" not in "".join(told)
        assert "Clear-Site-Data" not in answer.headers


def where_it_leads_is_below_its_address(jupyter: Server, at: str) -> None:  # noqa: F811
    headers = {"Authorization": f"token {TOKEN}"}
    for place in ("root", "path", "own", "whole"):
        answer = requests.get(f"{at}/to-{place}", headers=headers, timeout=10)
        assert answer.url == f"{at}/there/?a=b"
    away = requests.get(f"{at}/to-elsewhere", headers=headers, timeout=10, allow_redirects=False)
    assert away.headers["Location"] == "https://example.org/there/"


def the_way_to_it_says_what_is_missing(jupyter: Server, site: int) -> None:  # noqa: F811
    way = f"virtlab/blog/{SLUG[:2]}"
    assert requests.get(f"{jupyter.url}/{way}", timeout=10).url.startswith(f"{jupyter.url}/login?")
    assert jupyter.get(way).url == f"{jupyter.url}/proxy/{site}/"
    for stands, missing in (
        (state.State(phase="started", ports={"web": 1}), ("Nothing answers on port 1", "Go on with the lab")),
        (state.State(), (f"Lab {SLUG} is not started.", f"<code>lab start {SLUG[:2]}</code>")),
    ):
        state.write(SLUG, stands)
        page = jupyter.get(way)
        assert (page.status_code, [one for one in missing if one not in page.text]) == (409, [])
