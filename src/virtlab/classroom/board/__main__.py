"""The board as a process: `VIRTLAB_CLASS=CLASS.JSON python -m virtlab.classroom.board`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from tornado.httpserver import HTTPServer
from tornado.web import Application, StaticFileHandler

from virtlab.classroom import class_data
from virtlab.classroom.class_data import ClassData
from virtlab.errors import LabError

PREFIX = "/services/board/"
ACCESS = ["access:services", "access:services!service=board"]


def application(data: ClassData) -> Application:
    # What the hub would tell a service that it starts itself; read when its module is imported. The prefix
    # binds the board's cookies to the board: no student's page may get them.
    os.environ |= {
        "JUPYTERHUB_API_TOKEN": data.secret("board"),
        "JUPYTERHUB_API_URL": f"{data.hub_url}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "service-board",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps(ACCESS),
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
    }
    from jupyterhub.services.auth import HubOAuth

    from virtlab.classroom.board.handlers import HERE, Class, routes
    from virtlab.classroom.board.store import Store

    about = Class(data, Store(data.folder))
    static = HERE / "static"
    files = (f"{PREFIX}static/(.*)", StaticFileHandler, {"path": static})
    return Application(
        [*routes(PREFIX, about, HubOAuth.instance()), files],
        template_path=str(HERE), static_path=str(static), static_url_prefix=f"{PREFIX}static/",
        cookie_secret=data.secret("board-cookie"), xsrf_cookies=False,  # the handlers check, as the hub does
        log_function=lambda _handler: None, compress_response=True,
    )  # fmt: skip


async def serve(data: ClassData) -> None:
    server = HTTPServer(application(data), xheaders=True, max_body_size=2**20)
    server.listen(data.board_port, data.seat_address)
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await end.wait()


def main() -> int:
    try:
        asyncio.run(serve(class_data.read()))
    except LabError as error:
        sys.stderr.write(f"virtlab board: {error.message} {error.do}\n")
        return int(error.exit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
