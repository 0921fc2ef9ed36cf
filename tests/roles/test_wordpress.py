"""The blog: a second one with another name and port, so that the standing one keeps its articles."""

import json
import re
import subprocess
import sys
from pathlib import Path

import docker
import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
STATE = Path("/var/lib/virtlab")
SECRETS = STATE / "secrets"
RECORD = STATE / "host.d/wptest.json"
NAMES = {"wordpress_name": "wptest", "wordpress_port": "8081"}
TITLE = "Two containers, one blog"

pytestmark = pytest.mark.host


def converge(*more: str) -> dict[str, int]:
    """Run the role; the recap's counters."""
    variables = [word for name, value in NAMES.items() for word in ("-e", f"{name}={value}")]
    playbook = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run([playbook, "tests/roles/wordpress.yml", *variables, *more],
                          cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    recap = done.stdout.partition("PLAY RECAP")[2]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


def left_overs(engine: docker.DockerClient) -> list[str]:
    kinds = (engine.containers.list(all=True), engine.networks.list(), engine.volumes.list())
    found = [one.name for kind in kinds for one in kind if one.name.startswith("wptest")]
    return found + [str(file) for file in [*SECRETS.glob("wptest*"), RECORD] if file.exists()]


def front_page() -> str:
    return requests.get("http://localhost:8081/", timeout=10).text


@pytest.fixture(scope="module")
def engine():
    yield docker.from_env()
    converge("-e", "wordpress_state=absent")


def test_check_mode_on_a_fresh_machine_makes_nothing(engine):
    converge("-e", "wordpress_state=absent")
    assert converge("--check")["changed"]
    assert left_overs(engine) == []


def test_from_nothing_to_the_article(engine):
    converge()
    assert TITLE in front_page()
    assert json.loads(RECORD.read_text()) == {"url": "http://localhost:8081", "user": "admin"}


def test_only_this_machine_reaches_the_blog_and_only_the_blog_its_database(engine):
    site, database = engine.containers.get("wptest"), engine.containers.get("wptest-db")
    assert site.ports == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8081"}]}
    assert not any(database.ports.values())
    networks = database.attrs["NetworkSettings"]["Networks"]
    assert [engine.networks.get(name).attrs["Internal"] for name in networks] == [True]


def test_passwords_are_in_files_for_their_owner_alone(engine):
    files = [SECRETS / f"wptest_{of}_password" for of in ("admin", "db", "db_root")]
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    shown = json.dumps([engine.containers.get(name).attrs for name in ("wptest", "wptest-db")])
    assert [file.name for file in files if file.read_text() in shown] == []


def test_the_password_opens_the_dashboard(engine):
    answer = requests.post("http://localhost:8081/wp-login.php", timeout=10, allow_redirects=False,
                           data={"log": "admin", "pwd": (SECRETS / "wptest_admin_password").read_text()})
    assert answer.status_code == 302
    assert "wordpress_logged_in" in " ".join(answer.cookies.keys())


def test_behind_a_prefix_every_link_has_it(engine):
    prefix = "/user/some%40one/proxy/8081"
    proxy = {"Host": "hub.test", "X-Forwarded-Prefix": prefix, "X-Forwarded-Proto": "https"}
    said = requests.get("http://localhost:8081/", timeout=10, headers=proxy).text
    assert f"https://hub.test{prefix}/?p=" in said
    assert "localhost:8081" not in said
    known = {"log": "admin", "pwd": (SECRETS / "wptest_admin_password").read_text()}
    answer = requests.post("http://localhost:8081/wp-login.php", data=known, headers=proxy, timeout=10,
                           allow_redirects=False)
    assert answer.headers["Location"] == f"https://hub.test{prefix}/wp-admin/"
    assert {one.path.startswith(f"{prefix}/") for one in answer.cookies} == {True}
    for wrong in ("//evil.test", "/a/../b", '/"><b>', "word", "/a/"):
        page = requests.get("http://localhost:8081/", headers={"X-Forwarded-Prefix": wrong}, timeout=10)
        assert page.text == front_page()


def test_links_in_articles_lead_to_where_the_visitor_is(engine):
    words = "<p><a href=http://localhost:8081/?p=1>here</a> <a href=http://localhost:80811/?p=2>there</a></p>"
    post = ["sh", "-c", f"echo '{words}' | wp-lab post --title Links"]
    said = engine.containers.get("wptest").exec_run(post)
    assert said.exit_code == 0, said.output
    assert "http://localhost:8081/?p=1>here" in front_page().replace('"', "")
    proxy = {"Host": "hub.test", "X-Forwarded-Prefix": "/proxy/8081"}
    page = requests.get("http://localhost:8081/", timeout=10, headers=proxy).text
    assert "http://hub.test/proxy/8081/?p=1>here" in page.replace('"', "")
    assert "http://localhost:80811/?p=2>there" in page.replace('"', "")


def test_a_second_run_changes_nothing(engine):
    assert converge()["changed"] == 0


def test_what_was_taken_away_comes_back_with_its_data(engine):
    post = ["sh", "-c", "echo kept | wp-lab post --title 'Written by hand'"]
    said = engine.containers.get("wptest").exec_run(post)
    assert said.exit_code == 0, said.output
    for name in ("wptest", "wptest-db"):
        engine.containers.get(name).remove(force=True)
    assert converge()["changed"] == 1
    assert TITLE in front_page()
    assert "Written by hand" in front_page()


def test_killed_before_the_article_was_written_it_is_written_the_next_time(engine):
    delete = ["mariadb", "wordpress", "-e", "DELETE FROM wp_posts WHERE post_title LIKE 'Two containers%'"]
    gone = engine.containers.get("wptest-db").exec_run(delete)
    assert gone.exit_code == 0, gone.output
    assert TITLE not in front_page()
    converge()
    assert TITLE in front_page()


def test_a_taken_port_is_named_with_its_owner(engine):
    engine.containers.get("wptest").remove(force=True)
    with subprocess.Popen([sys.executable, "-m", "http.server", "-b", "127.0.0.1", "8081"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as owner:
        with pytest.raises(AssertionError) as failed:
            converge()
        owner.kill()
    assert f"pid={owner.pid}" in str(failed.value)
    assert "wordpress_port" in str(failed.value)


def test_it_moves_to_another_port(engine):
    converge("-e", "wordpress_port=8083")
    assert TITLE in requests.get("http://localhost:8083/", timeout=10).text


def test_the_undo_leaves_nothing(engine):
    assert converge("-e", "wordpress_state=absent")["changed"]
    assert left_overs(engine) == []
    assert converge("-e", "wordpress_state=absent")["changed"] == 0
