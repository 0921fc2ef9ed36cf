"""`%lab` in a notebook: what it shows, in words and in HTML, from the engine's own values."""

import re
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from virtlab import catalogue, lifecycle, outcomes
from virtlab.catalogue import Broken, Lab, Needs, Task
from virtlab.checks import Result, State
from virtlab.errors import LabError, MachineError, PlaybookError
from virtlab.notebook import view
from virtlab.notebook.panel import Panel, rich
from virtlab.notebook.progress import Progress
from virtlab.playbooks import Event
from virtlab.quiz import Choice, Question, Quiz
from virtlab.text import Text

QUESTION = Question("names", Text(en="Who turns `web` into a number?"), (
    Choice(Text(en="A DNS server"), True, Text(en="At 127.0.0.11.")),
    Choice(Text(en="The kernel"), False, Text(en="It knows only numbers.")),
))
LAB = Lab(
    slug="05-container-networks", title=Text(en="bridge & host"), summary=Text(en="Who talks to whom."),
    track="containers", minutes=60, prefix="net", ports={"web": 8105}, needs=Needs(), folder=Path("/labs/05"),
    tasks=(Task("names", Text(en="Find by name"), (Text(en="Look at DNS."), Text(en="Make a network."))),
           Task("publish", Text(en="Publish a port"))),
)


def result(name: str, task: str, state: State, message: str, **more: str) -> Result:
    return Result(name, task, f"Title of {name}", state, message, seconds=0.123, **more)


MIXED = outcomes.Grade(LAB, (
    result("by_name", "names", State.PASS, "`net-till` finds `net-shop`."),
    result("by_alias", "names", State.FAIL, "I asked for <shop> & got 'bad address'.", hint="See aliases."),
    result("page", "publish", State.UNKNOWN, "I cannot reach the daemon.", do="Run `newgrp docker`."),
), 0.4)


def html(panel: Panel) -> str:
    return panel._repr_html_().partition("</style>")[2]


def test_a_checklist_says_what_was_checked_seen_and_what_to_do():
    assert repr(view.grade(MIXED)) == """\
bridge & host: 1 of 3 checks pass
1. Find by name
   ✔ Title of by_name (works)
     `net-till` finds `net-shop`.
   ✘ Title of by_alias (not yet)
     I asked for <shop> & got 'bad address'.
2. Publish a port
   ? Title of page (cannot tell)
     I cannot reach the daemon.
     What to do: Run `newgrp docker`.
Next: do what stands beside the question mark, then `%lab grade` again."""


def test_the_same_in_html_with_nothing_unescaped():
    page = html(view.grade(MIXED))
    for said in ("✔", "✘", "?", "not yet", "cannot tell", "See aliases.", "<code>newgrp docker</code>"):
        assert said in page
    assert "&lt;shop&gt; &amp; got" in page
    assert "<shop>" not in page


def test_nothing_shown_depends_on_how_long_it_took():
    for panel in (view.grade(MIXED), view.finished(outcomes.Finished(LAB, ("x",), ("y",), 1.23)),
                  view.started(outcomes.Started(LAB, False, 3, 1.23, Path("/x/start-2026.log")))):
        assert not re.search(r"0\.4|1\.23|0\.123|2026", repr(panel) + html(panel))


@pytest.mark.parametrize(("states", "tone", "advice"), [
    ((State.PASS, State.PASS), "good", "`%lab finish`"),
    ((State.PASS, State.FAIL), "bad", "task 2, “Publish a port”"),
    ((State.UNKNOWN, State.FAIL), "odd", "question mark"),
])
def test_the_advice_fits_the_result(states, tone, advice):
    given = tuple(result(task.id, task.id, state, "") for task, state in zip(LAB.tasks, states, strict=True))
    panel = view.grade(outcomes.Grade(LAB, given, 0.1))
    assert panel.tone == tone
    assert advice in repr(panel).splitlines()[-1]


def test_hints_come_one_by_one_and_end():
    names, publish = LAB.tasks
    assert "says more" in repr(view.hint(outcomes.Hint(LAB, names, names.hints[0], 1, 2)))
    assert "%lab solve names" in repr(view.hint(outcomes.Hint(LAB, names, names.hints[1], 2, 2)))
    assert "no hint" in repr(view.hint(outcomes.Hint(LAB, publish)))
    assert "Everything is solved" in repr(view.hint(outcomes.Hint(LAB, None)))


def test_a_question_has_an_answer_to_every_choice_without_scripts():
    page = html(view.questions([QUESTION, QUESTION]))
    assert page.count("<details>") == 4
    assert "✔ Yes. At 127.0.0.11." in page
    assert "✘ No. It knows only numbers." in page
    assert "script" not in page


def test_a_prediction_asks_for_an_answer_first():
    assert repr(view.prediction(QUESTION, "")).endswith(
        "  b) The kernel\nChoose before you go on. The next cells show whether it is so.")
    given = view.prediction(QUESTION, "B")
    assert "You say b) The kernel" in repr(given)
    assert "It knows only numbers." in html(given)
    with pytest.raises(LabError, match="no answer 'z'"):
        view.prediction(QUESTION, "z")


def test_the_list_leads_to_the_guides_and_says_how_far_one_is(tmp_path, monkeypatch):
    monkeypatch.setenv("VIRTLAB_WORKSPACE", str(tmp_path))
    broken = Broken("07-broken", LabError("labs/07-broken/lab.yml:3: 'title' is missing."))
    started = outcomes.Status(LAB, "started", "", 6)
    panel = view.labs([LAB, broken], {LAB.slug: started}, tmp_path / "10-first-vm")
    assert repr(panel) == (
        "05-container-networks  bridge & host  60 minutes  0 of 6 checks have passed; started\n"
        "07-broken  cannot be used: labs/07-broken/lab.yml:3: 'title' is missing.")
    assert "href" not in html(panel)
    (tmp_path / LAB.slug).mkdir()
    (tmp_path / LAB.slug / f"{LAB.slug}.ipynb").touch()
    panel = view.labs([LAB], {}, tmp_path / "10-first-vm")
    assert f'<a href="../{LAB.slug}/{LAB.slug}.ipynb">{LAB.slug}</a>' in html(panel)
    assert "not started yet" in repr(panel)


def test_words_are_escaped_before_they_become_markup():
    assert rich("`a<b` **bold** & <i>") == "<code>a&lt;b</code> <b>bold</b> &amp; &lt;i&gt;"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An IPython with `%lab`, in the folder of lab 05; what it displays is collected."""
    monkeypatch.delenv("VIRTLAB_STRICT", raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    known = {"05": LAB, LAB.slug: LAB}
    monkeypatch.setattr(catalogue, "find", lambda wanted: known.get(wanted) or missing(wanted))
    folder = tmp_path / LAB.slug
    folder.mkdir()
    monkeypatch.chdir(folder)
    one = InteractiveShell()
    one.run_line_magic("load_ext", "virtlab.notebook")
    one.run_line_magic("load_ext", "virtlab.notebook")
    shown: list[Panel] = []
    monkeypatch.setattr(Progress, "show", lambda self, panel: shown.append(panel))
    one.shown = shown
    return one


def missing(wanted: str) -> Lab:
    raise catalogue.UsageError(f"There is no lab '{wanted}'.", do="`lab list` shows all of them.")


def test_the_lab_is_known_from_the_guides_folder(shell, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(lifecycle, "grade", lambda slug: asked.append(slug) or MIXED)
    shell.run_line_magic("lab", "grade")
    assert asked == [LAB.slug]
    assert "1 of 3 checks pass" in repr(shell.shown[-1])


def test_a_lab_once_named_is_remembered(shell, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    other = InteractiveShell()
    other.run_line_magic("load_ext", "virtlab.notebook")
    other.run_line_magic("lab", "grade")
    assert "Which lab?" in repr(shell.shown[-1])
    done = outcomes.Started(LAB, False, 1, 1.0, Path("/x"))
    monkeypatch.setattr(lifecycle, "start", lambda slug, on_event: done)
    monkeypatch.setattr(Lab, "work", property(lambda _: tmp_path / LAB.slug))
    other.run_line_magic("lab", "start 05")
    assert Path.cwd() == tmp_path / LAB.slug
    monkeypatch.setattr(lifecycle, "grade", lambda slug: MIXED)
    other.run_line_magic("lab", "grade")
    assert "checks pass" in repr(shell.shown[-1])


@pytest.mark.parametrize(("line", "said"), [
    ("frobnicate", "does not know 'frobnicate'"),
    ("start 99", "There is no lab '99'"),
    ("grade 05 06", "I do not understand all of '05 06'"),
    ("predict", "Predict what?"),
    ("quiz nothing", "There is no question 'nothing'"),
    ('hint "names', "I cannot read"),
])
def test_wrong_use_is_a_box_and_not_a_traceback(shell, monkeypatch, line, said):
    monkeypatch.setattr(Lab, "quiz", Quiz((QUESTION,)))
    shell.run_line_magic("lab", line)
    assert said in repr(shell.shown[-1])
    assert shell.shown[-1].tone == "odd"


def test_a_failure_says_what_to_do(shell, monkeypatch):
    def fail(slug, on_event):
        raise PlaybookError("The image net/web is missing.", do="Run `lab up`.")

    monkeypatch.setattr(lifecycle, "start", fail)
    shell.run_line_magic("lab", "start")
    assert repr(shell.shown[-1]) == "The image net/web is missing.\n    What to do: Run `lab up`."


def test_where_outputs_are_tested_a_failure_fails_its_cell(shell, monkeypatch):
    monkeypatch.setenv("VIRTLAB_STRICT", "1")
    monkeypatch.setattr(lifecycle, "grade", lambda slug: (_ for _ in ()).throw(MachineError("No Docker.")))
    with pytest.raises(MachineError):
        shell.run_line_magic("lab", "grade")


def test_progress_names_the_step_at_hand_and_is_silent_where_outputs_are_tested(monkeypatch):
    shown: list[Panel] = []
    monkeypatch.setattr(Progress, "show", lambda self, panel: shown.append(panel))
    monkeypatch.setenv("VIRTLAB_STRICT", "1")
    Progress()(Event("task", "", "Start the shop"))
    assert not shown
    monkeypatch.setenv("VIRTLAB_STRICT", "0")
    progress = Progress()
    for kind, task in (("task", "Start the shop"), ("changed", "Start the shop"), ("task", "Wait")):
        progress(Event(kind, "", task))
    assert [repr(panel) for panel in shown] == ["Step 1: Start the shop …", "Step 2: Wait …"]
