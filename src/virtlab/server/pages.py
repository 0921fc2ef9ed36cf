"""Web pages for a tab of JupyterLab's: the way to a lab's site, and what the registry holds.

The browser never gets the registry's password: the server asks, with the learner's secret, and sends a page.
"""

from __future__ import annotations

import asyncio
import json
from html import escape
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.web import authenticated

from virtlab import language, lifecycle, messages, paths, settings, state
from virtlab.errors import LabError, MachineError, UsageError
from virtlab.language import say
from virtlab.server import proxy

STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #888; padding: .4rem; text-align: left; vertical-align: top }
"""


class Page(JupyterHandler):
    """A page for people: an error is one too, and looks again by itself."""

    auth_resource = "virtlab"

    def show(self, title: str, body: str, head: str = "") -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(
            f'<!doctype html>\n<html lang="{language.current()}"><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width">{head}<title>{escape(title)}</title>'
            f"<style>{STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>\n"
        )

    def complain(self, error: LabError) -> None:
        self.set_status(409)
        problem = messages.error(error)
        said = "".join(f"<p>{_rich(one)}</p>" for one in (problem.message, problem.do) if one)
        self.show(say("There is nothing to show yet"), said, '<meta http-equiv="refresh" content="3">')


class Registry(Page):
    @authenticated
    @authorized
    async def get(self) -> None:
        try:
            name, images = await _held()
        except LabError as error:
            self.complain(error)
            return
        rows = "".join(
            f'<tr><th scope="row"><code>{escape(f"{name}/{image}")}</code></th>'
            f"<td>{escape(', '.join(tags))}</td></tr>"
            for image, tags in images
        )
        heads = "".join(f'<th scope="col">{say(one)}</th>' for one in ("image", "tags"))
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        use = say("Fetch one with `docker pull IMAGE:TAG`, or run it with `docker run IMAGE:TAG`.")
        body = f"<p>{_rich(use)}</p>{table}" if rows else f"<p>{say('It holds no images yet.')}</p>"
        self.show(say("Images in {name}", name=name), f'{body}<p><a href="">{say("Look again")}</a></p>')


class Blog(Page):
    """To a blog through the proxy: the standing one, or a lab's, on whichever port it was started."""

    @authenticated
    @authorized
    async def get(self, number: str | None = None) -> None:
        try:
            port = await (_own(number) if number else _standing())
        except LabError as error:
            self.complain(error)
            return
        self.redirect(url_path_join(self.base_url, "proxy", str(port), "/"))


async def _standing() -> int:
    port = proxy.port_of_the_blog()
    await _answers(port, "Run `./lab up --only wordpress`.")
    return port


async def _own(number: str) -> int:
    lab = lifecycle.open_lab(number)
    if "web" not in lab.ports:
        raise UsageError(f"Lab {lab.slug} has no web page.", do="`lab list` shows the others.")
    if not state.read(lab.slug).is_begun:
        raise UsageError(say("Lab {lab} is not started.", lab=lab.slug),
                         do=say("Run `lab start {lab}`.", lab=lab.number))  # fmt: skip
    await _answers(lab.ports["web"], "Go on with the lab: what answers there is shown here then.")
    return lab.ports["web"]


async def _answers(port: int, otherwise: str) -> None:
    try:
        _, writer = await asyncio.open_connection("localhost", port)
        writer.close()
    except OSError:
        raise MachineError(f"Nothing answers on port {port} of this machine.", do=otherwise) from None


async def _held() -> tuple[str, list[tuple[str, list[str]]]]:
    """The registry's name, and each image with its tags."""
    there = settings.host().registry
    mend = "Run `./lab up --only registry`."
    try:
        password = (paths.SECRETS / "registry_password").read_text().strip()
    except OSError as error:
        raise MachineError(f"I cannot read the registry's password: {error.strerror}.", do=mend) from None

    async def ask(path: str) -> Any:
        try:
            answer = await AsyncHTTPClient().fetch(
                f"https://{there.name}/v2/{path}", ca_certs=there.ca, auth_username=there.user,
                auth_password=password, request_timeout=10, follow_redirects=False,
            )  # fmt: skip
            return json.loads(answer.body)
        except HTTPClientError as error:
            if error.code == 404:  # an image all of whose tags were deleted
                return {}
            why = error.message
        except (OSError, ValueError) as error:
            why = str(error)
        raise MachineError(f"The registry {there.name} does not let me look: {why}.", do=mend)

    async def tags(image: str) -> tuple[str, list[str]]:
        return image, sorted((await ask(f"{image}/tags/list")).get("tags") or [])

    images = (await ask("_catalog?n=1000")).get("repositories") or []
    return there.name, await asyncio.gather(*map(tags, images))


def _rich(words: str) -> str:
    """Words in which `this` is code."""
    parts = escape(words).split("`")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))


def routes(base_url: str) -> list[tuple[str, type[Any]]]:
    handlers: dict[str, type[Any]] = {
        "virtlab/registry": Registry, r"virtlab/blog(?:/(\d\d))?": Blog, proxy.PATH: proxy.Site,
    }  # fmt: skip
    return [(url_path_join(base_url, path), one) for path, one in handlers.items()]
