"""The kit's part of the Jupyter server: the start page's data, opening labs, the live checklist.

`labextensions/virtlab` is its other half, in the browser. It is written by hand and served as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

LABEXTENSIONS = Path(__file__).parent / "labextensions"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "virtlab.server"}]


def _load_jupyter_server_extension(app: Any) -> None:
    from tornado.ioloop import IOLoop

    # Here, because only a server has what they import.
    from virtlab.server import board, class_handlers, handlers, pages, speech
    from virtlab.server.live import Live

    live, base_url = Live(app), app.web_app.settings["base_url"]
    # Browsers have Jupyter's cookie. A token in the page could be read by a site that is shown in it.
    app.web_app.settings.get("page_config_data", {})["token"] = ""
    seat = board.joined(app, live)
    routes = [*handlers.routes(base_url, live), *class_handlers.routes(base_url, seat)]
    app.web_app.add_handlers(".*$", [*routes, *pages.routes(base_url)])
    if seat is not None:
        speech.begin(app.log)
        IOLoop.current().add_callback(seat.start)
