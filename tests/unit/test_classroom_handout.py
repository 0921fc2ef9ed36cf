"""The handout: what is on it opens the accounts; it is its owner's alone; nothing on it is fetched or run."""

import csv
import io
import json
import re

import pytest

from virtlab import cli, paths
from virtlab.classroom import class_data, handout

NAMES = {
    "s001": "Ada <script>alert(1)</script> Example",
    "s002": "王小明",
    "s003": "José " + "von und zu " * 12,
}


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "class.json"
    made.write_text(
        json.dumps(
            {
                "folder": str(tmp_path / "hub"),
                "title": {"en": "Networks & more", "zh": "网络"},
                "host": "lab.example.org",
                "certificate": "/etc/hub.crt",
                "instructors": ["teacher"],
                "students": [
                    {"id": id, "name": name, "email": f"{id}@example.org"} for id, name in NAMES.items()
                ],
            }
        )
    )
    data = class_data.read(made)
    data.accounts.enrol([*NAMES, "teacher"])
    return made


def cards(page):
    return re.findall(r'<section class="card">.*?</section>', page, re.S)


def test_every_card_opens_its_account(file):
    data = class_data.read(file)
    made = handout.cards(data)
    assert [one.id for one in made] == ["teacher", *NAMES]
    for one in made:
        assert data.accounts.is_right(one.id, one.password)
        assert one.address == "https://lab.example.org:8443"
        assert one.link.startswith(f"{one.address}/hub/once?")
    assert len({one.password for one in made}) == len(made)
    assert handout.cards(data) == made


def test_the_page_says_it_and_runs_nothing(file):
    data = class_data.read(file)
    every = handout.cards(data)
    page = handout.page(data, every)
    found = cards(page)
    assert len(found) == 4
    for card, one in zip(found, every, strict=True):
        assert f"<dd>{one.id}</dd>" in card
        assert f"<dd>{one.password}</dd>" in card
        assert card.count("<svg") == 1
    assert "<script" not in page
    assert "Ada &lt;script&gt;" in page
    assert not re.search(r"""(src|href)=|url\(|@import""", page)
    assert "Password · 密码" in page
    assert "Networks &amp; more · 网络" in page


@pytest.mark.parametrize(
    ("languages", "has", "has_not"), [(["en"], "Password", "密码"), (["zh"], "密码", "Password")]
)
def test_in_one_language(file, languages, has, has_not):
    text = json.loads(file.read_text()) | {"languages": languages}
    file.write_text(json.dumps(text))
    data = class_data.read(file)
    page = handout.page(data, handout.cards(data))
    assert has in page
    assert has_not not in page


def test_a_chosen_password_is_not_known(file):
    data = class_data.read(file)
    data.accounts.choose("s001", "correct horse battery")
    one = handout.cards(data, ["s001"])[0]
    assert one.password == ""
    page = handout.page(data, [one])
    assert "the one you have chosen" in page
    assert "correct horse" not in page


def test_with_the_schools_accounts(file):
    text = json.loads(file.read_text()) | {"authenticator_class": "oauthenticator.GitHubOAuthenticator"}
    file.write_text(json.dumps(text))
    data = class_data.read(file)
    made = handout.cards(data)
    assert {(one.password, one.link) for one in made} == {("", "")}
    assert "school" in handout.page(data, made)


def lab(capsys, *words):
    code = cli.main(["classroom", "handout", *map(str, words)])
    return code, *capsys.readouterr()


def test_the_command_keeps_it_private_and_tells_no_password(file, tmp_path, capsys):
    page = tmp_path / "handout.html"
    code, out, _ = lab(capsys, "--class", file, "-o", page, "--json")
    assert (code, json.loads(out)) == (0, {"file": str(page), "cards": 4, "without_password": []})
    assert page.stat().st_mode & 0o777 == 0o600
    password = handout.cards(class_data.read(file))[1].password
    assert password in page.read_text()
    _, out, err = lab(capsys, "--class", file, "-o", page)
    assert password not in out + err


def test_as_csv_for_some(file, tmp_path, capsys):
    sheet = tmp_path / "cards.csv"
    code, _, _ = lab(capsys, "--class", file, "-o", sheet, "--only", "s002")
    rows = list(csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"))))
    one = handout.cards(class_data.read(file), ["s002"])[0]
    assert code == 0
    assert rows == [
        ["id", "name", "e-mail", "address", "password", "link"],
        ["s002", "王小明", "s002@example.org", one.address, one.password, one.link],
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-o", "x.pdf"], 2),
        (["-o", "x.html", "--only", "nobody"], 2),
        (["-o", "no/x.html"], 3),
        ([], 2),
    ],
)
def test_wrong_use_is_explained(file, capsys, monkeypatch, words, code):
    monkeypatch.chdir(file.parent)
    found, out, err = lab(capsys, "--class", file, *words)
    assert (found, out) == (code, "")
    assert "What to do: " in err
    assert not list(file.parent.glob("*.html"))


def test_the_hub_of_this_machine_is_found(file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(paths, "HOST_D", tmp_path / "host.d")
    page = tmp_path / "handout.html"
    code, _, err = lab(capsys, "-o", page)
    assert (code, "There is no hub on this machine" in err) == (3, True)
    (tmp_path / "host.d").mkdir()
    (tmp_path / "host.d/hub.json").write_text(json.dumps({"class": str(file)}))
    assert lab(capsys, "-o", page)[0] == 0
    assert page.exists()
