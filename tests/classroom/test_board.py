"""The board: what seats say, what instructors see and do, and who may neither say nor see."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import time

import fastjsonschema
import pytest
import requests
from classhub import INSTRUCTOR, running, until
from playwright.sync_api import expect

from virtlab.classroom.board import rows
from virtlab.classroom.board.handlers import _valid
from virtlab.classroom.board.store import Store

NET = "05-container-networks"


def lab(**more):
    said = {"phase": "started", "started": 1200.0, "completed": None, "hints": {"names": 2}, "helped": [],
            "answers": [], "said": [], "checks": [
                {"id": "by_name", "task": "names", "state": "pass", "first_passed": 600.0},
                {"id": "no_ports", "task": "names", "state": "fail", "first_passed": None},
                {"id": "inside", "task": "internal", "state": "fail", "first_passed": 900.0}]}
    return said | more


def report(**more):
    return {"busy": [], "used": 5.0, "visitors": [], "read": []} | more


@pytest.fixture
def clock():
    return [1_000_000.0]


@pytest.fixture
def store(tmp_path, clock):
    return Store(tmp_path, lambda: clock[0])


def test_a_row_says_where_somebody_is(store, clock):
    store.report("ada", report(labs={NET: lab()}))
    row = rows.row("ada", "Ada", store.seats["ada"], clock[0])
    assert (row["here"], row["lab"], row["hints"]) == ("active", NET, 2)
    assert row["stuck"] == clock[0] - 600
    assert row["labs"][NET] | {"since": 0} == {
        "phase": "started", "passed": 2, "total": 3, "done": False, "hints": 2, "helped": 0, "since": 0,
        "tasks": {"names": "pf", "internal": "r"}}
    clock[0] += 30
    store.report("ada", report(used=400))
    assert rows.row("ada", "Ada", store.seats["ada"], clock[0])["here"] == "idle"
    store.report("ada", report(used=400, busy=["terminal"]))
    assert rows.row("ada", "Ada", store.seats["ada"], clock[0])["here"] == "active"
    assert rows.row("ada", "Ada", store.seats["ada"], clock[0] + 61)["here"] == "away"
    assert rows.row("bob", "Bob", None, clock[0])["here"] == "never"


def test_what_is_done_is_not_stuck(store, clock):
    store.report("ada", report(labs={NET: lab(completed=10.0)}))
    assert rows.row("ada", "Ada", store.seats["ada"], clock[0])["stuck"] is None


def test_the_board_remembers_over_its_own_end(store, tmp_path, clock):
    store.report("ada", report(labs={NET: lab()}))
    store.hand("ada", True)
    store.send("teacher", ["ada", "ming"], "Look at the DNS server.")
    store.close()
    again = Store(tmp_path, lambda: clock[0])
    assert again.seats["ada"].hand == clock[0]
    assert again.seats["ada"].labs[NET]["checks"][0]["state"] == "pass"
    reply = again.report("ada", report())
    assert reply["again"], "the board was away: the seat says all of it once more"
    assert not again.report("ada", report(labs={NET: lab()}))["again"]
    assert [one["text"] for one in reply["messages"]] == ["Look at the DNS server."]
    assert again.report("ada", report(read=[reply["messages"][0]["id"]]))["messages"] == []
    assert again.waiting("ming"), "who has read a message reads it for nobody else"
    again.report("ada", report(read=[again.waiting("ming")[0]["id"]]))
    assert again.waiting("ming")


def test_only_what_changes_is_news(store):
    store.report("ada", report(labs={NET: lab()}))
    version = store.version
    store.report("ada", report())
    assert store.version == version
    store.report("ada", report(labs={NET: lab(helped=["names"])}))
    assert store.version > version


@pytest.mark.parametrize("wrong", [
    {"busy": ["mining"]}, {"used": -1}, {"used": "1"}, {"more": 1}, {"labs": {"../../etc": lab()}},
    {"labs": {NET: lab(hints={"names": "many"})}}, {"labs": {NET: lab(checks=[{"id": "x"}])}},
    {"labs": {NET: lab(said=[{"id": "x", "title": "t" * 5000, "message": ""}])}}, {"visitors": ["x"] * 99},
])  # fmt: skip
def test_a_report_that_is_none_is_refused(wrong):
    _valid()(report(labs={NET: lab()}))
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        _valid()(report(**wrong))


def test_a_name_is_no_formula_in_the_table(store, clock):
    row = rows.row("ada", "=HYPERLINK(1)", None, clock[0])
    assert list(csv.reader(io.StringIO(rows.as_csv([row], [NET]))))[1][1] == "'=HYPERLINK(1)"


# With a real hub, real seats, a real browser

host = pytest.mark.host


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with running(tmp_path_factory.mktemp("board")) as one:
        for who in ("s01", "s02"):
            one.start_seat(who)
        yield one


def board(hub, path="api/class"):
    answer = hub.api(f"services/board/{path}", hub.data.secret("lab"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def student(hub, who):
    return next(one for one in board(hub)["students"] if one["id"] == who)


def does(hub, who, code):
    """The student's progress changes as the kit's own verbs change it."""
    home = hub.folder / "home" / who
    subprocess.run([sys.executable, "-c", f"from virtlab import progress, checks, state\n{code}"], check=True,
                   env=os.environ | {"HOME": str(home), "VIRTLAB_DATA": str(home / "data")}, timeout=60)


@pytest.fixture
def teacher(hub, visit):
    page = visit(viewport={"width": 1300, "height": 800})
    page.context.add_cookies(hub.cookies(INSTRUCTOR))
    page.goto(hub.url)
    expect(page.get_by_role("heading", name="Class board")).to_be_visible()
    return page


@host
def test_the_instructor_arrives_at_the_board(hub, teacher):
    assert teacher.url == f"{hub.url}/services/board/"
    expect(teacher.get_by_role("row")).to_have_count(1 + len(hub.said["students"]))
    expect(teacher.get_by_role("button", name="<b>Grace</b> Hopper", exact=True)).to_be_visible()
    expect(teacher.locator("tr[data-id=s03]")).to_contain_text("never here")
    cookies = {one["name"]: one["path"] for one in teacher.context.cookies()}
    assert cookies["service-board"] == "/services/board/", "no student's page may get the board's cookie"


@host
def test_a_check_turns_green_without_a_click(hub, teacher):
    teacher.get_by_label("Labs").select_option(NET)
    row = teacher.locator("tr[data-id=s01]")
    result = "checks.Result(id='by_name', task='names', title='', state=checks.State.{}, message='')"
    does(hub, "s01", f"progress.started('{NET}'); progress.graded('{NET}', [{result.format('FAIL')}])")
    expect(row.locator(".marks .f")).to_be_visible()
    does(hub, "s01", f"progress.graded('{NET}', [{result.format('PASS')}])")
    does(hub, "s01", f"progress.hinted('{NET}', 'names', 2)")
    expect(row.locator(".marks .p")).to_be_visible()
    expect(row.locator(".number")).to_have_text("1")
    teacher.get_by_label("Labs").select_option("")
    expect(row.locator("td.step").nth(1)).to_contain_text("1/1")


@host
def test_a_hand_goes_up_and_down(hub, teacher):
    token = hub.seat_token("s01")
    assert hub.api("user/s01/virtlab/class", token, "POST", json={"hand": True}).json()["hand"]
    lower = teacher.get_by_role("button", name=re.compile("hand up .* Lower hand: Ada"))
    expect(lower).to_be_visible()
    expect(teacher).to_have_title(re.compile(r"\(1\)"))
    expect(teacher.locator("[aria-live]")).to_contain_text("Ada Lovelace raised a hand")
    lower.click()
    expect(lower).to_be_hidden()
    until(lambda: hub.api("user/s01/virtlab/class", token).json()["hand"] is False)


@host
def test_a_message_arrives_and_is_read(hub, teacher):
    teacher.get_by_role("button", name="Message: 李明").click()
    teacher.get_by_role("dialog").get_by_role("textbox").fill("Look at the <b>DNS</b> server.")
    teacher.get_by_role("button", name="Send").click()
    expect(teacher.get_by_role("dialog")).to_be_hidden()
    token = hub.seat_token("s02")
    until(lambda: hub.api("user/s02/virtlab/class", token).json()["messages"])
    message = hub.api("user/s02/virtlab/class", token).json()["messages"][0]
    assert (message["from"], message["text"]) == (INSTRUCTOR, "Look at the <b>DNS</b> server.")
    assert hub.api("user/s01/virtlab/class", hub.seat_token("s01")).json()["messages"] == []
    hub.api("user/s02/virtlab/class", token, "POST", json={"read": message["id"]})
    teacher.get_by_role("button", name="李明", exact=True).click()
    expect(teacher.get_by_role("dialog")).to_contain_text("Look at the <b>DNS</b> server.")
    expect(teacher.get_by_role("dialog").locator(".messages small")).to_contain_text(re.compile(r"\bread$"))


@host
def test_the_student_sees_that_the_instructor_looks(hub, teacher):
    with teacher.context.expect_page() as opened:
        teacher.get_by_role("link", name="Open: Ada Lovelace").click()
    opened.value.wait_for_url(re.compile("/user/s01/lab"), timeout=120_000, wait_until="commit")
    token = hub.seat_token("s01")
    until(lambda: hub.api("user/s01/virtlab/class", token).json()["visitors"] == [INSTRUCTOR], 120)
    expect(teacher.locator("tr[data-id=s01]")).to_contain_text(f"visited by {INSTRUCTOR}")
    opened.value.close()
    until(lambda: hub.api("user/s01/virtlab/class", token).json()["visitors"] == [])


@host
def test_the_student_raises_a_hand_and_reads_in_jupyterlab(hub, visit):
    page = visit(viewport={"width": 1280, "height": 800})
    page.context.add_cookies(hub.cookies("s02"))
    page.goto(f"{hub.url}/user/s02/lab")
    button = page.get_by_role("button", name="Raise hand")
    expect(button).to_be_visible(timeout=120_000)
    button.click()
    expect(page.get_by_role("button", name="Hand is up")).to_have_attribute("aria-pressed", "true")
    until(lambda: student(hub, "s02")["hand"])
    lab = hub.data.secret("lab")
    said = {"to": ["s02"], "text": "I am <i>coming</i>."}
    assert hub.api("services/board/api/messages", lab, "POST", json=said).json() == {"sent": 1}
    message = page.get_by_role("alertdialog")
    expect(message).to_contain_text("I am <i>coming</i>.")
    message.get_by_role("button", name="OK").click()
    expect(message).to_be_hidden()
    until(lambda: board(hub, "api/students/s02")["messages"][0]["read"])
    hub.api("services/board/api/students/s02/lower", lab, "POST")
    expect(button).to_be_visible()


@host
def test_find_filter_sort_and_keys(hub, teacher):
    def names():
        return teacher.locator("tbody .who").all_text_contents()

    teacher.keyboard.press("/")
    teacher.keyboard.type("grace")
    expect(teacher.locator("tbody tr")).to_have_count(1)
    teacher.get_by_label("Find a student").fill("nobody at all")
    expect(teacher.get_by_text("Nobody is shown.")).to_be_visible()
    teacher.get_by_label("Find a student").fill("")
    teacher.get_by_role("combobox", name="Show").select_option("away")
    assert names() == ["<b>Grace</b> Hopper"]
    teacher.get_by_role("combobox", name="Show").select_option("all")

    head = teacher.get_by_role("columnheader", name="student")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    up = names()
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names() == up[::-1]

    teacher.evaluate("document.activeElement.blur()")
    for key in ("ArrowDown", "ArrowDown", "m"):
        teacher.keyboard.press(key)
    expect(teacher.get_by_role("heading", name=f"Message to {up[::-1][1]}")).to_be_visible()
    teacher.keyboard.press("Escape")
    expect(teacher.get_by_role("dialog")).to_be_hidden()


@host
def test_in_chinese(hub, teacher):
    teacher.get_by_role("button", name="中文").click()
    expect(teacher.locator("html")).to_have_attribute("lang", "zh")
    expect(teacher.get_by_role("heading", name="课堂看板")).to_be_visible()
    for part in (".tools", "thead", ".counts"):
        assert not re.findall(r"[a-z]{3,}", teacher.locator(part).inner_text()), part


@host
def test_the_api_and_the_table_say_the_same(hub):
    said = hub.api("services/board/api/class.csv", hub.data.secret("lab"))
    table = list(csv.DictReader(io.StringIO(said.content.decode("utf-8-sig"))))
    assert [one["id"] for one in table] == [one["id"] for one in board(hub)["students"]]
    ada = student(hub, "s01")
    assert table[0][f"{NET} passed"] == str(ada["labs"][NET]["passed"])
    assert board(hub, "api/students/s01")["details"][NET]["checks"][0]["id"] == "by_name"


@host
def test_a_student_says_and_hears_only_what_is_theirs(hub):
    token, api = hub.seat_token("s01"), f"{hub.data.board_url}/services/board/api"
    header = {"Authorization": f"token {token}"}
    for path in ("class", "class.csv", "students/s01", "students/s02"):
        assert requests.get(f"{api}/{path}", headers=header, timeout=10).status_code == 403, path
        assert hub.api(f"services/board/api/{path}", token).status_code == 403, path
    for path, body in (("messages", {"to": ["s02"], "text": "psst"}), ("students/s02/lower", {})):
        assert requests.post(f"{api}/{path}", headers=header, json=body, timeout=10).status_code == 403, path
    before = student(hub, "s02")
    answer = requests.post(f"{api}/report", headers=header, json=report(labs={}), timeout=10)
    assert answer.status_code == 200
    assert student(hub, "s02")["labs"] == before["labs"]
    for bad in ({}, {"Authorization": "token wrong"}, {"Authorization": f"token {hub.data.secret('lab')}"}):
        assert requests.post(f"{api}/report", headers=bad, json=report(), timeout=10).status_code == 403
    wrong = requests.post(f"{api}/report", headers=header, data=json.dumps({"busy": 1}), timeout=10)
    assert wrong.status_code == 400
    assert "Traceback" not in wrong.text
    assert requests.get(f"{api}/class", timeout=10, allow_redirects=False).status_code in (302, 403)


@host
def test_a_silent_process_counts_as_use(hub):
    """Else a build without output would be culled."""
    token = hub.seat_token("s02")

    def status():
        return hub.api("user/s02/api/status", token).json()["last_activity"]

    time.sleep(6)
    idle = status()
    time.sleep(6)
    assert status() == idle, "asking is no use"
    assert hub.api("user/s02/api/terminals", token, "POST").status_code == 200
    type_into_terminal(hub, token, "sleep 60 >/dev/null &\r")
    time.sleep(8)
    first = status()
    time.sleep(7)
    assert status() > first
    until(lambda: "terminal" in student(hub, "s02")["busy"])


def type_into_terminal(hub, token, text):
    import asyncio
    import ssl
    import threading

    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    async def go():
        url = f"{hub.url.replace('https', 'wss')}/user/s02/terminals/websocket/1"
        context = ssl.create_default_context(cafile=hub.ca)
        request = HTTPRequest(url, headers={"Authorization": f"token {token}"}, ssl_options=context)
        socket = await websocket_connect(request)
        await asyncio.sleep(1)
        await socket.write_message(json.dumps(["stdin", text]))
        await asyncio.sleep(1)
        socket.close()

    thread = threading.Thread(target=asyncio.run, args=(go(),))     # Playwright's own loop runs in this one
    thread.start()
    thread.join()
