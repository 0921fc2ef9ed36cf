"""The kit's part of a Jupyter server: a real one, on a free port, at the root and behind a prefix."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from virtlab import server, state

TOKEN = "for-this-test-only"
SLUG = "90-tiny"
CHECKS = """\
from virtlab.checks import check


@check("There is a file", task="net", hint="touch answer")
def there(seat, lab):
    assert (lab.work / "answer").exists(), "There is no file `answer`."


@check("It is", task="volume")
def it_is(seat, lab):
    return "It is."
"""
CONFIG = f"""\
c.ServerApp.jpserver_extensions = {{"jupyterlab": True, "jupyter_server_terminals": True,
                                    "virtlab.server": True, "jupyter_lsp": False, "notebook_shim": False,
                                    "jupyter_server_proxy": False}}
c.TerminalsExtensionApp.terminal_manager_class = "virtlab.server.terminals.LabTerminals"
c.LabApp.extra_labextensions_path = [{str(server.LABEXTENSIONS)!r}]
c.ServerApp.terminado_settings = {{"shell_command": ["/bin/bash", "--norc"]}}
c.ServerApp.allow_root = True
"""
GUIDE = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@dataclass
class Server:
    url: str
    kit: Any

    def get(self, path: str, token: str = TOKEN) -> requests.Response:
        return requests.get(f"{self.url}/{path}", headers=self._known(token), timeout=20)

    def post(self, path: str, said: Any = None, token: str = TOKEN) -> requests.Response:
        return requests.post(f"{self.url}/{path}", json=said or {}, headers=self._known(token), timeout=30)

    def page(self, token: str = TOKEN) -> websocket.WebSocket:
        known = [f"{name}: {value}" for name, value in self._known(token).items()]
        address = self.url.replace("http", "ws", 1)
        return websocket.create_connection(f"{address}/virtlab/live", header=known, timeout=15)

    @staticmethod
    def _known(token: str) -> dict[str, str]:
        return {"Authorization": f"token {token}"} if token else {}

    def watchers(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_text().split("\0")
                data = (entry / "environ").read_text()
            except OSError:
                continue
            if "virtlab.watch" in words and f"VIRTLAB_DATA={self.kit.data}\0" in data:
                found.append(int(entry.name))
        return found


@pytest.fixture(params=["/", "/user/someone/"], ids=["root", "prefix"])
def jupyter(kit, request) -> Iterator[Server]:
    kit.make(SLUG, "tiny", docker=False, checks_py=CHECKS)
    notebooks, work = kit.root / "notebooks", kit.root / "work"
    notebooks.mkdir()
    work.mkdir()
    (notebooks / f"{SLUG}.ipynb").write_text(json.dumps(GUIDE))
    (kit.root / "config.py").write_text(CONFIG)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = ("CONFIG", "DATA", "RUNTIME")
    own: dict[str, str] = {f"JUPYTER_{name}_DIR": str(kit.root / name.lower()) for name in folders}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("jupyter-lab"), f"--config={kit.root / 'config.py'}",
         "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--no-browser",
         f"--ServerApp.root_dir={work}", f"--ServerApp.base_url={request.param}"],
        env=kit.environment(JUPYTER_TOKEN=TOKEN, **own), cwd=kit.root,
        stdout=(kit.root / "log").open("w"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    one = Server(f"http://127.0.0.1:{port}{request.param}".rstrip("/"), kit)
    try:
        for _ in range(150):
            try:
                if one.get("api/status").ok:
                    break
            except requests.ConnectionError:
                assert process.poll() is None, (kit.root / "log").read_text()
            time.sleep(0.2)
        yield one
    finally:
        process.terminate()
        process.wait(20)


def told(page: websocket.WebSocket, wanted: str) -> Any:
    """The next message that has this."""
    while True:
        said = json.loads(page.recv())
        if wanted in said:
            return said


def states(said: Any) -> dict[str, str]:
    return {one["task"]: one["state"] for one in said["grade"]["results"]}


def test_the_server_from_the_first_visit_to_the_last(jupyter):
    """One server for many questions: starting one takes seconds."""
    nobody_else_gets_in(jupyter)
    the_catalogue_is_that_of_lab_list(jupyter)
    the_pages_part_is_served(jupyter)
    opening_gives_a_guide_and_one_terminal(jupyter)
    wrong_use_is_an_answer(jupyter)
    a_page_follows_a_lab(jupyter)
    a_page_sees_what_is_there(jupyter)
    lab_open_reaches_the_page(jupyter)


def nobody_else_gets_in(jupyter: Server) -> None:
    assert jupyter.get("virtlab/labs", token="").status_code == 403
    assert jupyter.get("virtlab/labs", token="wrong").status_code == 403
    for path in (f"virtlab/labs/{SLUG}/open", f"virtlab/labs/{SLUG}/start", "virtlab/show"):
        assert jupyter.post(path, token="").status_code == 403
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        jupyter.page(token="")
    assert not (jupyter.kit.root / "work" / SLUG).exists()


def the_catalogue_is_that_of_lab_list(jupyter: Server) -> None:
    said = jupyter.get("virtlab/labs").json()
    assert said == jupyter.kit.lab("list", "--can-run", "--json").json
    (lab,) = said["labs"]
    assert (lab["stands"], lab["solved"], said["continue"]) == ("new", [], SLUG)


def the_pages_part_is_served(jupyter: Server) -> None:
    page = jupyter.get("lab").text
    assert '"load": "static/remoteEntry.js"' in page
    assert TOKEN not in page            # a site that is shown in it could read it there
    files = {file.name for file in (server.LABEXTENSIONS / "virtlab/static").iterdir()}
    assert {"remoteEntry.js", "plugin.js", "virtlab.css"} <= files
    for name in files:
        assert jupyter.get(f"lab/extensions/virtlab/static/{name}").status_code == 200


def opening_gives_a_guide_and_one_terminal(jupyter: Server) -> None:
    first, second = (jupyter.post(f"virtlab/labs/{SLUG}/open").json() for _ in range(2))
    assert first == second
    assert (first["guide"], first["phase"]) == (f"{SLUG}/{SLUG}.ipynb", "new")
    assert (first["newer"], first["places"]) == (None, {})
    newer = jupyter.kit.root / "work" / SLUG / f"{SLUG}.new.ipynb"
    newer.write_text(json.dumps(GUIDE))
    assert jupyter.post(f"virtlab/labs/{SLUG}/open").json()["newer"] == f"{SLUG}/{newer.name}"
    newer.unlink()
    assert jupyter.get(f"api/contents/{first['guide']}").ok
    assert [one["name"] for one in jupyter.get("api/terminals").json()] == [first["terminal"]]
    for name in (first["terminal"], None):
        made = name or jupyter.post("api/terminals", {"cwd": SLUG}).json()["name"]
        assert environment(jupyter, made) == f"{SLUG} 8197 8197 {jupyter.kit.root / 'work' / SLUG}"
    elsewhere = jupyter.post("api/terminals").json()["name"]
    assert environment(jupyter, elsewhere) == f"   {jupyter.kit.root}"


def environment(jupyter: Server, terminal: str) -> str:
    """What a terminal says of its lab and folder."""
    address = jupyter.url.replace("http", "ws", 1)
    line = websocket.create_connection(
        f"{address}/terminals/websocket/{terminal}", header=[f"Authorization: token {TOKEN}"], timeout=10
    )
    line.send(json.dumps(["stdin", "echo \"<$LAB $LAB_PORT $LAB_PORT_WEB $PWD>\" | cat\n"]))
    seen = ""
    while "<" not in seen.replace('"<', "") or ">" not in seen.rpartition("<")[2]:
        kind, *words = json.loads(line.recv())
        seen += words[0] if kind == "stdout" else ""
    line.close()
    return seen.replace('"<', "").partition("<")[2].partition(">")[0]


def wrong_use_is_an_answer(jupyter: Server) -> None:
    said = jupyter.post("virtlab/labs/91-none/open")
    assert (said.status_code, said.json()["message"][:30]) == (409, "There is no lab '91-none'.")
    assert jupyter.post("virtlab/labs/..%2f..%2fetc/open").status_code == 404
    said = jupyter.post(f"virtlab/labs/{SLUG}/hint")
    assert (said.status_code, said.json()["do"]) == (409, "Run `lab start 90`.")
    page = jupyter.page()
    for nonsense in ("", "[]", "not json", '{"watch": "../x"}', '{"watch": {"a": 1}}', '{"unwatch": 3}'):
        page.send(nonsense)
    page.send('{"labs": true}')
    assert told(page, "labs")["labs"]["labs"][0]["lab"] == SLUG
    page.close()


def a_page_follows_a_lab(jupyter: Server) -> None:
    answer = jupyter.kit.root / "work" / SLUG / "answer"
    first, second = jupyter.page(), jupyter.page()
    for page in (first, second):
        page.send(json.dumps({"watch": SLUG}))
        assert told(page, "tasks")["phase"] == "new"
    assert jupyter.watchers() == []                             # nothing runs for a lab that is not started
    assert jupyter.post(f"virtlab/labs/{SLUG}/start").ok
    assert states(told(first, "grade")) == states(told(second, "grade")) == {"net": "fail", "volume": "pass"}
    assert len(jupyter.watchers()) == 1                         # one for all pages
    assert told(first, "labs")["labs"]["labs"][0]["stands"] == "begun"
    began = time.monotonic()
    answer.touch()
    assert states(told(first, "grade"))["net"] == "pass"
    assert time.monotonic() - began < 2
    answer.unlink()
    assert states(told(first, "grade"))["net"] == "fail"        # red again
    hint = jupyter.post(f"virtlab/labs/{SLUG}/hint", {"task": "net"}).json()
    assert (hint["number"], hint["hint"]["en"]) == (1, "Look at docker network.")
    state.write(SLUG, state.State(phase="finished"))
    while told(first, "phase")["phase"] != "finished":
        pass
    assert gone(jupyter)                                        # it stops when the lab is finished
    state.write(SLUG, state.State(phase="started"))
    assert states(told(first, "grade"))["net"] == "fail"        # and comes back with it
    first.close()
    time.sleep(0.5)
    assert len(jupyter.watchers()) == 1                         # the other page is still there
    second.close()
    assert gone(jupyter)


def a_page_sees_what_is_there(jupyter: Server) -> None:
    """Drawn by the one watcher, for the page that shows it."""
    page, other = jupyter.page(), jupyter.page()
    for one in (page, other):
        one.send(json.dumps({"watch": SLUG}))
        told(one, "grade")
    page.send(json.dumps({"draw": SLUG}))
    assert told(page, "topology")["topology"]["svg"].startswith("<svg")
    assert len(jupyter.watchers()) == 1
    page.send(json.dumps({"rest": SLUG}))
    other.send(json.dumps({"draw": SLUG}))
    assert told(other, "topology")["lab"] == SLUG               # it is known already
    page.close()
    other.close()
    assert gone(jupyter)


def gone(jupyter: Server) -> bool:
    for _ in range(40):
        if not jupyter.watchers():
            return True
        time.sleep(0.25)
    return False


def lab_open_reaches_the_page(jupyter: Server) -> None:
    assert jupyter.post("virtlab/show", {"lab": SLUG}).json() == {"pages": 0}
    page = jupyter.page()
    folder = jupyter.kit.root / "state"
    for name in ("host.d", "secrets"):
        (folder / name).mkdir(parents=True)
    record = {"url": jupyter.url, "token": "t", "user": "me"}
    (folder / "host.d/jupyterlab.json").write_text(json.dumps(record))
    (folder / "secrets/t").write_text(TOKEN)
    done = jupyter.kit.lab("open", "90", VIRTLAB_STATE=str(folder))
    assert (done.code, done.out) == (0, f"{SLUG} is open in JupyterLab.\n"), done.err
    assert told(page, "show") == {"show": SLUG}
    page.close()
    time.sleep(0.5)
    done = jupyter.kit.lab("open", "90", VIRTLAB_STATE=str(folder))
    assert done.out == f"Open this in a browser:\n{jupyter.url}/lab?open={SLUG}&token={TOKEN}\n"


def test_a_server_that_is_killed_takes_its_watchers_with_it(kit):
    """Their input ends with it."""
    kit.make(SLUG, "tiny", docker=False, checks_py=CHECKS)
    state.write(SLUG, state.State(phase="started"))
    process = subprocess.Popen([sys.executable, "-P", "-m", "virtlab.watch", SLUG], env=kit.environment(),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline()
    os.close(process.stdin.fileno())
    assert process.wait(5) == 0
    process.stdout.close()
