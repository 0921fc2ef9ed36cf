"""The way to the labs' web pages, through jupyter-server-proxy: only to them, and with nothing of Jupyter's.

A page that is shown this way shares JupyterLab's origin, so no other port of this machine is let in: it may
be somebody else's. Jupyter's cookies, token and addresses stay here, and what a site sets holds below its own
address only.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from jupyter_server.utils import url_path_join
from jupyter_server_proxy.handlers import LocalProxyHandler
from tornado.httputil import HTTPHeaders
from tornado.web import HTTPError

from virtlab import catalogue, settings, state
from virtlab.errors import LabError

PATH = r"proxy/(\d+)(/.*|)"
OURS = ("Authorization", "X-Xsrftoken")  # what a browser says for Jupyter to hear
THEIRS = ("Clear-Site-Data", "Service-Worker-Allowed", "Strict-Transport-Security")  # about all of an origin
COOKIE = re.compile(r"\s*(wordpress|wp|comment_author)[_-]")  # the sites'; others are Jupyter's, or its hub's
STREAM = "text/event-stream"


class Site(LocalProxyHandler):  # type: ignore[misc]  # jupyter-server-proxy has no types
    def __init__(self, *arguments: Any, **named: Any) -> None:
        def rewrite(response: Any) -> None:  # called by the names of its arguments: no method
            self._keep_below(response)

        super().__init__(*arguments, rewrite_response=rewrite, **named)

    async def prepare(self) -> None:
        await super().prepare()  # who is not logged in goes no further
        if self._finished:
            return
        port = int(self.path_args[0])
        if not _is_of_a_lab(port):
            raise HTTPError(403, f"No lab that is started here has a web page on port {port}.")
        self.base = url_path_join(self.base_url, "proxy", str(port))
        asked = self.request.query.split("&")
        kept = "&".join(one for one in asked if unquote_plus(one.partition("=")[0]) != "token")
        if kept != self.request.query:  # it has opened the door; the site's pages would read it there
            self.redirect(f"{self.request.path}?{kept}".rstrip("?"))
        if self.request.headers.get("Accept") == STREAM:
            self.request.headers["Accept"] = "*/*"  # a stream's answer would not pass through _keep_below

    def proxy_request_headers(self) -> HTTPHeaders:
        headers: HTTPHeaders = super().proxy_request_headers()
        for name in OURS:
            headers.pop(name, None)
        cookies = [one for one in headers.pop("Cookie", "").split(";") if COOKIE.match(one)]
        if cookies:
            headers["Cookie"] = ";".join(cookies).strip()
        came_from = urlsplit(headers.get("Referer", ""))
        if not came_from.path.startswith(f"{self.base}/") or came_from.netloc != self.request.host:
            headers.pop("Referer", None)
        return headers

    def _keep_below(self, response: Any) -> None:
        """What a site sets and where it leads to, below its address here."""
        headers = response.headers
        for name in THEIRS:
            headers.pop(name, None)
        cookies = headers.get_list("Set-Cookie")
        headers.pop("Set-Cookie", None)
        for cookie in filter(COOKIE.match, cookies):
            headers.add("Set-Cookie", self._cookie(cookie))
        if "Location" in headers:
            headers["Location"] = self._location(headers["Location"])

    def _cookie(self, cookie: str) -> str:
        value, *attributes = cookie.split(";")
        path, kept = "", []
        for one in attributes:
            name, _, said = one.strip().partition("=")
            if name.lower() == "path":
                path = said
            elif name.lower() != "domain":
                kept.append(one)
        if not f"{path}/".startswith(f"{self.base}/"):
            path = f"{self.base}/"
        return ";".join([value, f" Path={path}", *kept])

    def _location(self, address: str) -> str:
        """A web server that knows nothing of a prefix leads away from it; WordPress knows."""
        there = urlsplit(address)
        if there.netloc not in ("", self.request.host) or not there.path.startswith("/"):
            return address
        path = there.path if f"{there.path}/".startswith(f"{self.base}/") else self.base + there.path
        # With a host, jupyter-server-proxy leaves it alone; without a scheme, it is the browser's.
        return there._replace(scheme="", netloc=self.request.host, path=path).geturl()


def port_of_the_blog() -> int:
    """The standing one's."""
    return urlsplit(settings.host().wordpress.url).port or 80


def _is_of_a_lab(port: int) -> bool:
    """The standing blog's, or one of a lab that this learner has started."""
    with suppress(LabError):  # there is none, or its record cannot be read
        if port == port_of_the_blog():
            return True
    for slug in catalogue.slugs():
        with suppress(LabError):
            begun = state.read(slug)
            if begun.is_begun and port in begun.ports.values():
                return True
    return False
