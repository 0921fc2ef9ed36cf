"""Rosters as they come: from an editor, a spreadsheet, Moodle, Canvas; in many encodings, with mistakes."""

import pytest

from virtlab.classroom import roster, tables

CANVAS = (
    'Student,ID,SIS User ID,SIS Login ID,Section,"Lab 5 (81234)",Current Score\n'
    ",,,,,Manual Posting,\n"
    '"    Points Possible",,,,,100,(read only)\n'
    '"Doe, Jane",4711,A-0007,jdoe,Group 1,90,90\n'
    '"王, 小明",4712,A-0008,xiaoming@students.example.org,Group 1,,\n'
    '"Student, Test",4799,,a3f0,Group 1,,\n'
)
MOODLE = (
    '"First name","Last name",Username,"ID number","Email address",Groups\n'
    "Jane,Doe,jdoe,7,Jane.Doe@students.example.org,1\n"
    "小明,王,xiaoming,8,xiaoming@students.example.org,1\n"
)


def read(tmp_path, content, reserved=frozenset()):
    file = tmp_path / "roster.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return roster.read(file, reserved)


def people(found):
    return [(one.id, one.name, one.email) for one in found.students]


def test_the_plain_form(tmp_path):
    found = read(tmp_path, "id,name,e-mail\ns001,Ada Example,ada@example.org\nS002,王小明,\n")
    assert people(found) == [("s001", "Ada Example", "ada@example.org"), ("s002", "王小明", "")]
    assert found.findings == ()


def test_canvas(tmp_path):
    found = read(tmp_path, CANVAS)
    assert found.findings == ()
    assert (found.form, people(found)) == ("canvas", [("jdoe", "Jane Doe", ""), ("xiaoming", "王小明", "")])
    assert found.students[0].lms["Student"] == "Doe, Jane"
    assert found.students[0].lms["ID"] == "4711"


def test_canvas_with_first_and_last_names(tmp_path):
    found = read(tmp_path, "LastName,FirstName,ID,SIS Login ID,Section\nDoe,Jane,4711,jdoe,1\n")
    assert people(found) == [("jdoe", "Jane Doe", "")]


def test_moodle(tmp_path):
    found = read(tmp_path, MOODLE)
    assert (found.form, found.findings) == ("moodle", ())
    assert people(found) == [
        ("jdoe", "Jane Doe", "Jane.Doe@students.example.org"),  # Moodle minds the case of addresses
        ("xiaoming", "王小明", "xiaoming@students.example.org"),
    ]


def test_moodle_with_addresses_only(tmp_path):
    found = read(tmp_path, "First name;Last name;Email address\nJane;Doe;Jane.Doe@example.org\n")
    assert people(found) == [("jane.doe", "Jane Doe", "Jane.Doe@example.org")]


@pytest.mark.parametrize("head", ["学号,姓名,邮箱", "用户名,姓名,电子邮件地址", "学号,姓名,Email地址"])
def test_chinese_headers(tmp_path, head):
    assert people(read(tmp_path, f"{head}\n20260001,王小明,a@example.org\n")) == [
        ("20260001", "王小明", "a@example.org")
    ]


def test_teachers_of_a_moodle_course_are_no_students(tmp_path):
    text = "First name,Last name,Email address,Roles\nA,B,ab@example.org,Teacher\nS,T,s@example.org,Student\n"
    assert [one.id for one in read(tmp_path, text).students] == ["s"]


PLAIN = "id;name;e-mail\ns1;José Ejemplo;jose@example.org\ns2;王小明;x@example.org\n"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", PLAIN),
        ("utf-8-sig", PLAIN),
        ("utf-16", PLAIN),
        ("utf-16-le", PLAIN),
        ("utf-16-be", PLAIN),
        ("gb18030", PLAIN.replace("José", "李雷")),
        ("gbk", PLAIN.replace("José Ejemplo", "韩梅梅")),
        ("cp1252", PLAIN.replace("王小明", "Zoë Müller")),
    ],
)
@pytest.mark.parametrize(("delimiter", "ends"), [(";", "\n"), (",", "\r\n"), ("\t", "\r")])
def test_encodings_separators_and_line_ends(tmp_path, encoding, text, delimiter, ends):
    text = text.replace(";", delimiter).replace("\n", ends)
    found = read(tmp_path, text.encode(encoding))
    assert found.findings == ()
    rows = [line.split(delimiter) for line in text.split(ends)[1:-1]]
    assert [list(one) for one in people(found)] == rows


@pytest.mark.parametrize(
    "name", ["欧阳娜娜", "Ægir Ørsted", "Müller", "Łukasz Żółć", "محمد", "김철수", "O'Brien-Smith"]
)
def test_names_of_the_world(tmp_path, name):
    assert people(read(tmp_path, f"id,name\na,{name}\n")) == [("a", name, "")]


def test_everything_that_is_wrong_is_said_at_once_with_its_line(tmp_path):
    text = (
        "id,name,e-mail\n"
        "s001,Ada,ada@example.org\n"
        "\n"
        "s001,Eve,eve@example.org\n"
        ",Nobody,\n"
        "Jürgen,Jürgen,j@example.org\n"
        "-x,X,not an address\n"
        "teacher,T,t@example.org\n"
        's 5,"A name over\nseveral lines",\n'
        "s006,F,ADA@example.org\n"
        "s007,Doe, Jane,j2@example.org\n"
        f"{'a' * 33},Long,\n"
        "s008,=HYPERLINK(1),\n"
    )
    found = read(tmp_path, text, frozenset({"teacher"}))
    said = [(one.line, one.message, one.is_error) for one in found.findings]
    assert said == [
        (4, "'s001' stands in line 2 already.", True),
        (5, "'id' is empty.", True),
        (6, "'jürgen' is no name for an account: it has 'ü'; a to z, 0 to 9, . _ - can be used.", True),
        (7, "'-x' is no name for an account: it must begin with a letter or a digit.", True),
        (7, "'not an address' is no e-mail address.", True),
        (8, "'teacher' is an instructor in class.yml.", True),
        (9, "'s 5' is no name for an account: it has ' '; a to z, 0 to 9, . _ - can be used.", True),
        (11, "ADA@example.org is s001's e-mail address too.", False),
        (12, "'Jane' is no e-mail address.", True),
        (12, "The line has 4 cells, the first line 3.", True),
        (13, f"'{'a' * 33}' is no name for an account: it has 33 characters, more than 32.", True),
        (14, "A cell begins like a formula.", True),
    ]
    assert all(str(one).startswith(f"{tmp_path}/roster.csv:{one.line}: ") for one in found.findings)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The roster is empty."),
        (b"id,name\n", "There is nobody in the roster."),
        (b"alpha,beta\n1,2\n", "No column says who is who; I see 'alpha', 'beta'."),
        (b"PK\x03\x04 a spreadsheet", "It is a spreadsheet, not CSV."),
        (b'id,name\n"s1,Ada\n', "The line is no valid CSV: unexpected end of data."),
        (b"id,name\ns1,A\0da\n", "It is no text."),
        (bytes(range(256)) * 40, "It is no text."),
        (b"id,name\n" + b"x" * 6_000_000, "It is too large to be a roster (5 MB)."),
    ],
)
def test_what_is_no_roster_is_told_apart(tmp_path, content, said):
    found = read(tmp_path, content)
    assert [one.message for one in found.findings] == [said]
    assert found.findings[0].do or "nobody" in said or "text" in said or "large" in said


def test_a_missing_file(tmp_path):
    assert (
        roster.read(tmp_path / "roster.csv").findings[0].message
        == "I cannot read it: No such file or directory."
    )


def test_zeros_that_a_spreadsheet_protects_stay(tmp_path):
    assert people(read(tmp_path, 'id,name\n="007",Bond\n')) == [("007", "Bond", "")]


def test_spaces_that_cannot_be_seen_go(tmp_path):
    assert people(read(tmp_path, "id\u00a0,name\n s001\u3000,\u200bAda   Example \n")) == [
        ("s001", "Ada Example", "")
    ]


def test_csv_that_is_written_runs_nothing():
    text = tables.write(["id", "name"], [["a", "=1+1"], ["b", "-x"], ["c", 3]])
    assert text == "\ufeffid,name\r\na,'=1+1\r\nb,'-x\r\nc,3\r\n"


LATIN = ["Noël Müller", "Jörg Weiß", "Françoise Château", "Søren Åkesson", "Íñigo Núñez"]


@pytest.mark.parametrize("name", LATIN)
def test_latin_names_are_not_taken_for_chinese(tmp_path, name):
    assert people(read(tmp_path, f"id,name\na,{name}\n".encode("cp1252"))) == [("a", name, "")]


def test_rare_chinese_characters_among_common_ones(tmp_path):
    text = "学号,姓名\n1,王喆\n2,李堃\n3,朱镕基\n"
    found = read(tmp_path, text.encode("gb18030"))
    assert [one.name for one in found.students] == ["王喆", "李堃", "朱镕基"]
