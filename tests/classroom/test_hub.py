"""The hub, for real: people log in through a browser, processes are killed, others' doors stay shut."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest
import requests
from classhub import INSTRUCTOR, ClassHub, running, until
from playwright.sync_api import expect

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with running(tmp_path_factory.mktemp("hub")) as one:
        one.start_seat("s01")
        yield one


def log_in(page, hub, who, password):
    page.goto(f"{hub.url}/hub/login")
    page.get_by_role("textbox", name="Name", exact=True).fill(who)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_a_student_logs_in_and_finds_jupyterlab(hub, visit):
    page = visit()
    log_in(page, hub, "s01", hub.password("s01"))
    page.get_by_role("link", name="Open my machine").click()
    page.wait_for_url(re.compile("/user/s01/lab"), timeout=120_000)
    expect(page.locator(".jp-LabShell")).to_be_visible(timeout=120_000)


def test_a_machine_that_is_off_starts_while_one_waits(hub, visit):
    page = visit()
    log_in(page, hub, "s03", hub.password("s03"))
    page.get_by_role("link", name="Start my machine").click()
    page.wait_for_url(re.compile("/user/s03/lab"), timeout=120_000)
    page.goto(f"{hub.url}/hub/home")
    page.get_by_role("button", name="Stop my machine").click()
    expect(page.get_by_role("link", name="Start my machine")).to_be_visible()


def test_a_wrong_password_is_said_in_both_languages(hub, visit):
    page = visit(locale="zh-CN")
    page.goto(f"{hub.url}/hub/login")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    page.get_by_role("textbox", name="账号", exact=True).fill("s01")
    page.locator("input[name=password]").fill("wrong")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("账号或密码不对")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("alert")).to_contain_text("Name or password is not right")
    assert page.get_by_role("textbox", name="Name", exact=True).input_value() == "s01"


def test_guessing_costs_time_and_only_the_guesser(hub):
    def guess(who):
        return hub.log_in(hub.session(), who, "guess")

    answers = [guess("s03") for _ in range(7)]
    assert [one.status_code for one in answers[:5]] == [403] * 5
    assert answers[-1].status_code == 429
    assert "Too many wrong passwords. Wait" in answers[-1].text
    assert guess("s02").status_code == 403, "another's account waits for nobody"


def test_a_password_of_ones_own(hub, visit):
    page = visit()
    first = hub.password("s02")
    log_in(page, hub, "s02", first)
    page.get_by_role("link", name="Change password").click()

    def change(now, new, again):
        for name, text in (("now", now), ("new", new), ("again", again)):
            page.locator(f"input[name={name}]").fill(text)
        page.get_by_role("button", name="Change password").click()

    change("wrong", "correct horse", "correct horse")
    expect(page.get_by_role("alert")).to_contain_text("The password now is not right")
    change(first, "correct horse", "other horse")
    expect(page.get_by_role("alert")).to_contain_text("differ")
    change(first, "short", "short")
    expect(page.get_by_role("alert")).to_contain_text("too short")
    change(first, "correct horse", "correct horse")
    expect(page.get_by_role("status")).to_contain_text("Your password is changed")

    assert hub.log_in(hub.session(), "s02", first).status_code == 403
    other = visit()
    log_in(other, hub, "s02", "correct horse")
    expect(other.get_by_role("heading", name="My machine")).to_be_visible()


def test_a_link_logs_in_once(hub, visit):
    link = hub.data.link("s03")
    for _ in range(2):      # a mail program looks, twice
        assert "Log in" in requests.get(link, timeout=10, verify=str(hub.ca)).text
    page = visit()
    page.goto(link)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="My machine")).to_be_visible()
    expect(page.get_by_text("s03")).to_be_visible()

    again = visit()
    answer = again.goto(link)
    assert answer.status == 403
    expect(again.get_by_role("heading")).to_contain_text("This link has been used")
    again.get_by_role("link", name="Log in with name and password").click()
    expect(again.get_by_role("heading", name="Log in")).to_be_visible()
    assert hub.data.link("s03") != link
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["key"][0] not in hub.log.read_text()


def test_anothers_seat_and_the_hubs_api_stay_shut(hub, visit):
    token = hub.seat_token("s01")
    assert hub.api("hub/api/user", token).json()["name"] == "s01"
    assert hub.api("user/s01/api/status", token).status_code == 200
    for path in ("hub/api/users/s02", "hub/api/users", "hub/api/services", "hub/api/proxy", "hub/metrics"):
        assert hub.api(path, token).status_code in (403, 404), path
    assert hub.api("hub/api/users/s02/server", token, "POST").status_code in (403, 404)

    other = visit()
    other.goto(hub.data.link("s02"))
    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("heading", name="My machine")).to_be_visible()
    for path in ("user/s01/lab", "user/s01/api/contents", "services/board/", "hub/admin"):
        assert other.goto(f"{hub.url}/{path}").status in (403, 404), path
    assert hub.api("user/s01/api/status", "wrong").status_code == 403


def test_metrics_need_their_token(hub):
    assert "jupyterhub_running_servers" in hub.api("hub/metrics", hub.data.secret("metrics")).text
    assert requests.get(f"{hub.url}/hub/metrics", timeout=10, verify=str(hub.ca)).status_code == 403


def test_nothing_listens_where_it_was_not_asked_to(hub):
    own = {str(hub.process.pid)} | set(descendants(hub.process.pid))
    said = subprocess.run(["ss", "-Hltunp"], capture_output=True, text=True, check=True).stdout
    places = {line.split()[4] for line in said.splitlines() if own & set(re.findall(r"pid=(\d+)", line))}
    data = hub.data
    ports = (data.port, data.hub_port, data.board_port, data.proxy_port)
    assert places >= {f"127.0.0.1:{port}" for port in ports}
    assert all(place.startswith("127.0.0.1:") for place in places), places


def test_no_secret_is_in_a_log_or_a_command_line(hub):
    secrets = [hub.data.secret(name) for name in ("proxy", "board", "culler", "metrics", "lab")]
    secrets += [hub.password("s01"), hub.seat_token("s01")]
    places = [hub.log, *(Path(f"/proc/{pid}/cmdline") for pid in descendants(hub.process.pid))]
    for place in places:
        said = place.read_text(errors="replace")
        assert not [one for one in secrets if one in said], place
    assert hub.data.folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (hub.data.folder / "secrets").iterdir())


def descendants(pid: int) -> list[str]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*children, *(more for one in children for more in descendants(int(one)))]


def test_a_killed_hub_is_back_and_nobody_was_thrown_out(hub, visit):
    token, seat = hub.seat_token("s01"), "user/s01/api/status"
    began = hub.api(seat, token).json()["started"]
    os.kill(hub.child("jupyterhub"), signal.SIGKILL)
    assert hub.api(seat, token).status_code == 200, "the proxy keeps students connected"
    time.sleep(1)
    hub.wait()
    assert hub.api(seat, token).json()["started"] == began
    page = visit()
    log_in(page, hub, "s01", hub.password("s01"))
    expect(page.get_by_role("link", name="Open my machine")).to_be_visible()


def test_a_killed_proxy_knows_the_seats_again(hub):
    token = hub.seat_token("s01")
    os.kill(hub.child("configurable-http-proxy"), signal.SIGKILL)
    until(lambda: hub.api("user/s01/api/status", token).status_code == 200)


def test_all_of_it_killed_leaves_no_stale_process_and_starts_again(hub):
    token = hub.seat_token("s01")
    began = hub.api("user/s01/api/status", token).json()["started"]
    before = descendants(hub.process.pid)
    kept = [pid for pid in before if "singleuser" not in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(kept) >= 4
    hub.stop(signal.SIGKILL)
    time.sleep(1)
    assert not [pid for pid in kept if Path(f"/proc/{pid}/exe").exists()]
    hub.start()
    until(lambda: hub.api("user/s01/api/status", token).status_code == 200)
    assert hub.api("user/s01/api/status", token).json()["started"] == began


def test_who_left_the_roster_is_out(hub):
    session, password = hub.session(), hub.password("s01")
    assert "My machine" in hub.log_in(session, "s01", password).text
    hub.stop()
    everybody = hub.said["students"]
    hub.write(students=everybody[1:])
    hub.start()
    assert session.get(f"{hub.url}/hub/home", timeout=30).url.startswith(f"{hub.url}/hub/login")
    assert hub.log_in(hub.session(), "s01", password).status_code == 403
    hub.stop()
    hub.write(students=everybody)
    hub.start()


def test_another_authenticator_by_configuration_alone(tmp_path):
    more = {"authenticator_class": "dummy"}
    with running(tmp_path, **more) as hub:
        config = hub.said["config"] | {"DummyAuthenticator": {"password": "a shared one"}}
        hub.stop()
        hub.write(config=config)
        hub.start()

        def status(who):
            return hub.log_in(hub.session(), who, "a shared one", allow_redirects=False)

        assert status("s02").headers["Location"].endswith("/hub/home")
        assert status(INSTRUCTOR).headers["Location"].startswith("/services/board")
        assert status("stranger").status_code == 403, "the roster says who may come in"
        assert requests.get(f"{hub.url}/hub/once", timeout=10, verify=str(hub.ca)).status_code == 404


def test_a_wrong_file_says_what_is_wrong(tmp_path):
    hub = ClassHub(tmp_path)
    hub.file.write_text(json.dumps({"folder": str(tmp_path), "tittle": {}}))
    done = subprocess.run([os.sys.executable, "-P", "-m", "virtlab.classroom.run", hub.file],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "I do not know tittle" in done.stderr
    assert "Traceback" not in done.stderr
