"""Grades from what the seats report: real reports, and whatever a student may put in their place."""

import csv
import io
import json
import shutil

import pytest

from virtlab import catalogue, cli, paths
from virtlab.classroom import grades, inventory

EXAMPLE = paths.ROOT / "inventory/classroom.example"
LAB = "05-container-networks"


def tasks_of(slug):
    return [task.id for task in catalogue.load(slug).tasks]


def report(*states, slug=LAB, hints=0):
    """As `lab report --json` prints it; the tasks in their order."""
    tasks = [
        {"id": id, "title": {"en": id}, "state": state, "hints": hints, "checks": []}
        for id, state in zip(tasks_of(slug), states, strict=False)
    ]
    return {
        "learner": "x",
        "made": "2027-01-01T00:00:00Z",
        "labs": [{"lab": slug, "completed": "2027-01-01T00:00:00Z", "tasks": tasks}],
    }


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(EXAMPLE, tmp_path / "my-class")


@pytest.fixture
def records(tmp_path):
    made = tmp_path / "records"
    made.mkdir()
    return made


def collect(folder, records):
    of = inventory.load(folder)
    everybody, found = grades.collect(of, records)
    return (
        of,
        {one.student.id: {grade.lab: grade for grade in one.grades} for one in everybody},
        everybody,
        found,
    )


def test_points_follow_the_tasks(folder, records):
    count = len(tasks_of(LAB))
    (records / "s001.json").write_text(json.dumps(report(*["done"] * count)))
    (records / "s002.json").write_text(json.dumps(report("done", "helped", "open", hints=2)))
    _, of, _, found = collect(folder, records)
    assert of["s001"][LAB].points == 100
    assert of["s001"]["06-wordpress-stack"].points == 0
    assert (of["s002"][LAB].done, of["s002"][LAB].helped, of["s002"][LAB].hints) == (1, 1, 6)
    assert of["s002"][LAB].points == round(150 / count, 2)
    assert of["s003"] == {}
    assert [one.message for one in found] == ["There is no record of s003."]


def test_a_report_that_the_kit_really_makes(kit, folder, records):
    """`lab report --json`, from a lab that was begun and graded."""
    slug = "90-tiny"
    kit.make(
        slug,
        "tiny",
        docker=False,
        checks_py="""\
from virtlab.checks import check

@check("One", task="net")
def one(seat, lab):
    return "It is."

@check("Two", task="volume")
def two(seat, lab):
    assert False, "It is not."
""",
    )
    state = kit.data / f"state/{slug}.json"
    state.parent.mkdir(parents=True)
    state.write_text('{"phase": "started", "before": []}')
    assert kit.lab("grade", "90").code == 1
    said = kit.lab("report", "--json")
    (records / "s001.json").write_text(said.out)
    (folder / "class.yml").write_text("title: {en: T}\nlabs: ['90']\n")
    _, of, _, _ = collect(folder, records)
    grade = of["s001"][slug]
    assert (grade.done, grade.helped, grade.tasks, grade.points) == (1, 0, 2, 50)


WRONG = [
    "",
    "{",
    "[]",
    "null",
    '{"labs": 3}',
    '{"labs": [3]}',
    '{"labs": [{"lab": []}]}',
    "[" * 100_000,
    '{"labs": [{"lab": "05-container-networks", "tasks": 7}]}',
    '{"labs": [{"lab": "05-container-networks", "tasks": [7, {"id": [], "state": {}, "hints": "many"}]}]}',
    '{"labs": [{"lab": "05-container-networks", "completed": {"a": 1}, "tasks": [{"hints": 1e400}]}]}',
]


@pytest.mark.parametrize("content", WRONG)
def test_a_strange_record_earns_nothing_and_stops_nobody(folder, records, content):
    (records / "s001.json").write_text(content)
    (records / "s002.json").write_text(json.dumps(report("done")))
    _, of, _, _ = collect(folder, records)
    assert sum(grade.points for grade in of["s001"].values()) == 0
    assert of["s002"][LAB].points > 0


def test_inventing_tasks_earns_nothing(folder, records):
    made_up = report("done")
    made_up["labs"][0]["tasks"] += [{"id": f"t{number}", "state": "done", "hints": 0} for number in range(50)]
    made_up["labs"].append({"lab": "99-mine", "tasks": [{"id": "x", "state": "done"}]})
    (records / "s001.json").write_text(json.dumps(made_up))
    _, of, _, _ = collect(folder, records)
    assert of["s001"][LAB].points == round(100 / len(tasks_of(LAB)), 2)
    assert set(of["s001"]) == {"04-local-registry", LAB, "06-wordpress-stack"}


def table(text):
    return list(csv.reader(io.StringIO(text)))


def test_for_canvas(folder, records):
    (folder / "roster.csv").write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section\n"
        "    Points Possible,,,,\n"
        '"Doe, Jane",4711,A-7,jdoe,Group 1\n'
    )
    text = (folder / "class.yml").read_text()
    (folder / "class.yml").write_text(text.replace("columns: {}", 'columns: {"05": "Lab 5 (81234)"}'))
    (records / "jdoe.json").write_text(json.dumps(report(*["done"] * 20)))
    of, _, everybody, _ = collect(folder, records)
    rows = table(grades.canvas(of, everybody))
    assert rows[0] == [
        "Student",
        "ID",
        "SIS User ID",
        "SIS Login ID",
        "Section",
        "04 Your own registry",
        "Lab 5 (81234)",
        "06 WordPress, for real",
    ]
    assert rows[1] == ["    Points Possible", "", "", "", "", "100", "100", "100"]
    assert rows[2] == ["Doe, Jane", "4711", "A-7", "jdoe", "Group 1", "0", "100", "0"]


def test_for_canvas_from_a_list_of_ones_own(folder, records):
    of, _, everybody, _ = collect(folder, records)
    rows = table(grades.canvas(of, everybody))
    assert rows[2] == ["Ada Example", "", "", "s001", "", "", "", ""]


def test_for_moodle(folder, records):
    (folder / "roster.csv").write_text(
        "First name,Last name,Email address\nJane,Doe,Jane@example.org\nB,B,b@example.org\n"
    )
    (records / "jane.json").write_text(json.dumps(report(*["done"] * 20)))
    of, _, everybody, _ = collect(folder, records)
    rows = table(grades.moodle(of, everybody))
    assert rows[0][:4] == ["First name", "Last name", "Email address", "04 Your own registry"]
    assert rows[1] == ["Jane", "Doe", "Jane@example.org", "0", "100", "0"]
    assert rows[2][3:] == ["", "", ""]  # no record: Moodle leaves the grade as it is


def test_for_moodle_in_chinese_and_from_a_list_of_ones_own(folder, records):
    (folder / "roster.csv").write_text("用户名,姓名,电子邮件地址,小组\njdoe,王小明,x@example.org,1\n")
    of, _, everybody, _ = collect(folder, records)
    assert table(grades.moodle(of, everybody))[0][:3] == ["用户名", "姓名", "电子邮件地址"]
    (folder / "roster.csv").write_text("name,id\nJane,jdoe\n")
    of, _, everybody, _ = collect(folder, records)
    assert [row[:2] for row in table(grades.moodle(of, everybody))] == [["id", "name"], ["jdoe", "Jane"]]


def test_the_command(folder, records, tmp_path, capsys):
    def lab(*words):
        code = cli.main(
            ["classroom", "grades", "-i", str(folder), "--records", str(records), *map(str, words)]
        )
        return code, *capsys.readouterr()

    code, _, err = lab()
    assert (code, "has no record of anybody in the roster" in err) == (3, True)
    (records / "s001.json").write_text(json.dumps(report("done")))
    (records / "stranger.json").write_text("{}")
    code, out, _ = lab("--json")
    assert (code, json.loads(out)["students"][0]["labs"][1]["done"]) == (0, 1)
    code, out, _ = lab()
    assert code == 0
    assert "Nobody in the roster is 'stranger'." in out
    assert "1 of 3 students have a record." in out
    file = tmp_path / "grades.csv"
    code, out, _ = lab("--format", "csv", "-o", file)
    assert (code, file.stat().st_mode & 0o777) == (0, 0o600)
    assert table(file.read_text(encoding="utf-8-sig"))[1][:3] == [
        "s001",
        "Ada Example",
        "ada@students.example.org",
    ]
    code, _, err = lab("-o", tmp_path / "nowhere/grades.csv")
    assert (code, err.startswith("Error: I cannot write ")) == (3, True)
