"""Checks: what each outcome is called, and every way in which a checks.py can be broken."""

import textwrap
import time

import pytest

from virtlab import checks
from virtlab.errors import UsageError

HEAD = "from virtlab.checks import check\nfrom virtlab.errors import Unknown\n"


def load(folder, text):
    file = folder / "checks.py"
    file.write_text(HEAD + textwrap.dedent(text))
    return checks.load(file, ["net"])


A = "@check('T', task='net')\ndef a(s, l): pass\n"
BROKEN = [
    ("def x(:\n  pass\n", r"3: not valid Python: "),
    ("x = 1\nimport no_such_thing\n", r"4: ModuleNotFoundError: No module named 'no_such_thing'\."),
    ("x = undefined\n", r"3: NameError: name 'undefined' is not defined\."),
    ("x = 1\n", r"1: no function is marked with @check"),
    (f"{A}\n{A}",
     r"6: check 'a' is already declared in line 3\."),
    (A.replace("net", "ent"), r"3: check 'a' is for task 'ent', which lab.yml does not have\."),
    (A.replace("net'", "net', after=['b']"), r"3: check 'a' comes after 'b', which is not a check"),
    ("@check('T')\ndef a(s, l): pass\n", r"3: TypeError: .*'task'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_a_broken_checks_py_is_one_line_with_its_place(tmp_path, text, said):
    with pytest.raises(UsageError, match=rf"checks.py:{said}") as caught:
        load(tmp_path, text)
    assert "\n" not in caught.value.message


def test_a_broken_checks_py_through_the_command_line(kit):
    kit.make("90-tiny", "tiny", docker=False, checks_py="import no_such_thing\n", start_yml="[]")
    state = kit.data / "state/90-tiny.json"
    state.parent.mkdir(parents=True)
    state.write_text('{"phase": "started"}')
    done = kit.lab("grade", "90")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        "Error: labs/90-tiny/checks.py:1: ModuleNotFoundError: No module named 'no_such_thing'"
    )


def test_verdicts(tmp_path):
    found = load(
        tmp_path,
        """
        @check("True", task="net")
        def a(seat, lab):
            return "So it is."

        @check("Silent", task="net")
        def b(seat, lab): pass

        @check("False", task="net", hint="Look there.")
        def c(seat, lab):
            assert 1 == 2, "I saw 1 and expected 2."

        @check("Nobody knows", task="net")
        def d(seat, lab):
            raise Unknown("I cannot look.", do="Open your eyes.")

        @check("Broken", task="net")
        def e(seat, lab):
            return {}["x"]
        """,
    )
    a, b, c, d, e = checks.run(found, None, None)
    assert (a.state, a.message) == ("pass", "So it is.")
    assert (b.state, b.message) == ("pass", "Silent.")
    assert (c.state, c.message, c.hint) == ("fail", "I saw 1 and expected 2.", "Look there.")
    assert (d.state, d.message, d.do, d.broken) == ("unknown", "I cannot look.", "Open your eyes.", False)
    assert (e.state, e.broken) == ("unknown", True)
    assert "KeyError: 'x' (" in e.message
    assert "checks.py:21)" in e.message


def test_a_check_that_hangs_is_left_behind(tmp_path):
    found = load(
        tmp_path,
        """
        import time

        @check("Hangs", task="net", seconds=0.2)
        def a(seat, lab):
            time.sleep(30)

        @check("Does not", task="net")
        def b(seat, lab): pass
        """,
    )
    began = time.monotonic()
    hanging, other = checks.run(found, None, None)
    assert time.monotonic() - began < 2
    assert (hanging.state, hanging.message) == ("unknown", "No answer within 0.2 seconds.")
    assert other.state == "pass"


def test_a_check_knows_how_it_is_broken(tmp_path):
    found = load(
        tmp_path,
        """
        @check("A", task="net")
        def a(seat, lab): pass

        @a.broken_by
        def _(seat, lab):
            lab.append("undone")

        @check("B", task="net", after=["a"])
        def b(seat, lab): pass
        """,
    )
    log: list[str] = []
    found[0].undo(None, log)
    assert log == ["undone"]
    assert found[1].undo is None
    assert found[1].after == ("a",)
