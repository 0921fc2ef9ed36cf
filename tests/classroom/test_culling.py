"""Whose machine is stopped: that of a forgotten page; none in which anything is under way."""

import contextlib
import fcntl
import json
import os
import ssl
import threading
import time
import uuid

import pytest
import requests
import websocket
from classhub import ClassHub, until

pytestmark = pytest.mark.host
MINUTES = 1  # of silence, after which a machine is stopped
OFTEN = 5  # seconds between two reports of a seat to the hub
# What an open JupyterLab asks for by itself, over and over.
ASKED = ("api/kernels", "api/sessions", "api/terminals", "api/contents", "api/kernelspecs", "api/status",
         "api/me", "virtlab/class")  # fmt: skip
BUSY = {"terminal", "kernel", "download", "check"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A student for each thing that may be under way, and one who has gone home with the page open."""
    students = [{"id": name} for name in (*sorted(BUSY), "gone")]
    hub = ClassHub(tmp_path_factory.mktemp("hub"), students=students, idle_minutes=MINUTES)
    hub.said["config"]["Spawner"]["environment"] = {"JUPYTERHUB_ACTIVITY_INTERVAL": str(OFTEN)}
    hub.write()
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        hub.end_seats()


def is_on(hub, who):
    return bool(hub.api(f"hub/api/users/{who}", hub.data.secret("lab")).json()["server"])


def socket(hub, who, path):
    url = f"{hub.url.replace('https', 'wss')}/user/{who}/{path}"
    about = [f"Authorization: token {hub.seat_token(who)}"]
    safe = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": str(hub.ca)}
    return websocket.create_connection(url, header=about, sslopt=safe, timeout=30)


def in_a_terminal(hub):
    """A build that prints nothing, in the background; the page is closed."""
    made = hub.api("user/terminal/api/terminals", hub.seat_token("terminal"), "POST").json()["name"]
    page = socket(hub, "terminal", f"terminals/websocket/{made}")
    page.send(json.dumps(["stdin", "sleep 900 >/dev/null &\r"]))
    time.sleep(2)
    page.close()


def in_a_cell(hub):
    """It computes in silence."""
    made = hub.api("user/kernel/api/kernels", hub.seat_token("kernel"), "POST").json()["id"]
    page = socket(hub, "kernel", f"api/kernels/{made}/channels")
    head = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "one",
            "date": "", "version": "5.3"}  # fmt: skip
    code = {"code": "import time; time.sleep(900)", "silent": False, "store_history": False,
            "user_expressions": {}, "allow_stdin": False}  # fmt: skip
    page.send(json.dumps({"header": head, "parent_header": {}, "metadata": {}, "content": code,
                          "channel": "shell", "buffers": []}))  # fmt: skip

    def is_busy():
        said = hub.api(f"user/kernel/api/kernels/{made}", hub.seat_token("kernel")).json()
        return said["execution_state"] == "busy"

    until(is_busy, 60)
    page.close()


def of_a_file(hub):
    """Somebody fetches it over a slow line."""
    work = hub.folder / "home/download/virtlab"
    with (work / "big").open("wb") as file:
        file.write(os.urandom(64 << 20))
    rights = {"Authorization": f"token {hub.seat_token('download')}"}
    answer = requests.get(f"{hub.url}/user/download/files/big", headers=rights, stream=True, timeout=60,
                          verify=str(hub.ca))  # fmt: skip
    assert answer.status_code == 200
    threading.Thread(target=read_slowly, args=(answer,), daemon=True).start()
    return answer


def read_slowly(answer):
    with contextlib.suppress(Exception):  # until it is closed
        for _ in answer.iter_content(1 << 17):
            time.sleep(1)


def of_a_lab(hub):
    """`lab grade` holds the lab's lock."""
    locks = hub.folder / "home/check/data/locks"
    locks.mkdir(parents=True, mode=0o700, exist_ok=True)
    lock = (locks / "05-container-networks.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def leave_open(hub, end):
    """Asks as a page does, through the proxy, until the test ends."""
    token = hub.seat_token("gone")
    while not end.wait(3):
        for path in ASKED:
            try:
                hub.api(f"user/gone/{path}", token)
            except requests.RequestException:
                continue


def test_a_forgotten_page_is_culled_and_what_is_under_way_is_not(hub):
    kept, end = [], threading.Event()
    for who, begin in (("terminal", in_a_terminal), ("kernel", in_a_cell), ("download", of_a_file),
                       ("check", of_a_lab)):  # fmt: skip
        hub.start_seat(who)
        kept.append(begin(hub))
    hub.start_seat("gone")
    asks = threading.Thread(target=leave_open, args=(hub, end))
    asks.start()
    began = time.monotonic()
    try:
        until(lambda: not is_on(hub, "gone"), MINUTES * 60 + 120)
        assert time.monotonic() - began > MINUTES * 30, "not before its time"
        # They have been silent for longer than the one that was stopped.
        assert {who for who in BUSY if is_on(hub, who)} == BUSY
    finally:
        end.set()
        asks.join()
        for one in kept:
            if one is not None:
                one.close()


def test_who_is_done_is_culled_as_well(hub):
    """The lock and the download ended with the test before, so nothing is under way in those two any more."""
    until(lambda: not is_on(hub, "check") and not is_on(hub, "download"), MINUTES * 60 + 120)
    assert is_on(hub, "terminal")
    assert is_on(hub, "kernel")


def test_a_page_that_stays_open_in_a_browser_is_culled(hub, visit):
    """JupyterLab itself: whatever it does while nobody touches it is no use."""
    hub.start_seat("gone")
    page = visit()
    page.context.add_cookies(hub.cookies("gone"))
    page.goto(f"{hub.url}/user/gone/lab")
    page.locator(".jp-LabShell").wait_for(timeout=180_000)
    until(lambda: not is_on(hub, "gone"), MINUTES * 60 + 120)
