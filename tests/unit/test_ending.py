"""The end of a lab, the help that was had, the learner's record: in the terminal, in a guide, as a page."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from virtlab import catalogue, lifecycle, outcomes, progress, render, report, state, summary, telling
from virtlab.catalogue import Task
from virtlab.checks import Result, State
from virtlab.notebook import ending, view
from virtlab.text import Text

LEARNED = """learned:
  - {en: A network joins containers., zh: 网络把容器连在一起。}
"""
QUIZ = """quiz:
  - id: who
    question: {en: Who answers to names?, zh: 谁回答名字？}
    choices:
      - {text: {en: A DNS server}, right: true, feedback: {en: At 127.0.0.11.}}
      - {text: {en: The <kernel>}, right: false, feedback: {en: It knows numbers.}}
predict:
  - id: before
    question: {en: Will it work?}
    choices:
      - {text: {en: "Yes"}, right: false, feedback: {en: It does not.}}
      - {text: {en: "No"}, right: true, feedback: {en: Indeed not.}}
"""


@pytest.fixture
def lab(kit, monkeypatch):
    """Started, with its checks as results rather than looked at."""
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    monkeypatch.setenv("VIRTLAB_LEARNER", "ada <lovelace>")
    folder = kit.make("90-tiny", "tiny", docker=False)
    file = folder / "lab.yml"
    file.write_text(file.read_text() + LEARNED)
    (folder / "quiz.yml").write_text(QUIZ)
    state.write("90-tiny", state.State(phase="started"))
    progress.started("90-tiny")
    return catalogue.load("90-tiny")


def results(**states):
    return [Result(name, task, f"Title of {name}", State(states.get(name, "pass")), "Seen.", "Hint.")
            for name, task in (("network", "net"), ("volume", "volume"))]  # fmt: skip


def graded(lab, **states):
    return lifecycle.keep(outcomes.Grade(lab, tuple(results(**states)), 0.1))


def test_nothing_is_summed_up_before_everything_works(lab):
    assert graded(lab, volume="fail").summary is None
    assert "What you built" not in render.grade(graded(lab, volume="fail"), render.Style())


def test_what_nobody_can_tell_comes_with_what_repairs_it(lab):
    do = "Run `newgrp docker`."
    cannot = Result("network", "net", "Title", State.UNKNOWN, "I cannot reach Docker.", do=do)
    done = outcomes.Grade(lab, (cannot, *results()[1:]), 0.1)
    said = render.grade(done, render.Style())
    assert "What to do: Run `newgrp docker`." in said
    assert said.endswith("first do what stands there; then `lab grade 90` again.")
    assert "What to do: Run `newgrp docker`." in repr(view.grade(done))


def test_the_summary_says_what_was_built_learned_and_how(kit, lab):
    kit.make("91-next", "next", docker=False)
    progress.hinted("90-tiny", "net", 2)
    progress.helped("90-tiny", ["volume"])
    progress.answered("90-tiny", "who", "quiz", "A DNS server", True)
    progress.answered("90-tiny", "before", "predict", "Yes", False)
    done = graded(lab)
    said = render.grade(done, render.Style())
    for line in (
        "Tiny: everything works. Well done.", "• A network\n", "• A network joins containers.",
        "It took less than a minute from the start. Hints: 1. Done with help: volume.",
        "Questions: 1 of 1 right.", "Next lab: Tiny, `lab start 91`",
    ):  # fmt: skip
        assert line in said
    assert done.as_dict()["summary"]["next"] == "91-next"
    assert json.dumps(done.as_dict())


def test_it_is_there_at_the_finish_and_in_the_guide_but_not_where_outputs_are_tested(lab, monkeypatch):
    one = graded(lab).summary
    finished = outcomes.Finished(lab, (), (), 1.0, (), one)
    assert "Well done" in render.finished(finished, render.Style())
    assert "Well done" in repr(ending.with_summary(view.finished(finished), one))
    assert "<b>What you know now</b>" in ending.with_summary(view.finished(finished), one)._repr_html_()
    monkeypatch.setenv("VIRTLAB_STRICT", "1")
    assert "Well done" not in repr(ending.with_summary(view.finished(finished), one))


def test_alone_is_alone(lab):
    assert "all of it is your own work" in telling.summary(graded(lab).summary)[1][-1]


@pytest.mark.parametrize(
    ("seconds", "said"), [(59, "less than a minute"), (60, "1 min"), (7260, "2 h 1 min")]
)
def test_durations(monkeypatch, seconds, said):
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    assert telling.duration(seconds) == said


def test_time_is_counted_from_the_start_to_the_moment_when_all_worked():
    record = progress.Record("2026-01-01T23:59:30Z", 1, None, completed="2026-01-02T00:01:00Z")
    assert summary.took(record) == 90
    assert summary.took(progress.Record("2026-01-01T23:59:30Z")) is None


def test_solve_says_what_it_did_and_why(lab):
    task = Task("net", Text(en="A network"), explain=Text(en="`docker network create` made it."))
    done = outcomes.Solved(lab, task, 1, 1.0, Path("/log"), ("A network of its own",))
    for said in (render.solved(done, render.Style()), repr(ending.explained(view.solved(done), done))):
        assert "• A network of its own" in said
        assert "`docker network create` made it." in said
    assert done.as_dict()["explained"] == {"net": {"en": "`docker network create` made it."}}


def test_help_is_recorded_as_help_and_what_was_done_alone_stays_so(lab, monkeypatch):
    def play(lab, verb, *, tags, on_event):
        from virtlab.playbooks import Event, PlaybookResult

        on_event(Event("task", "", "A network"))
        return PlaybookResult(1, 1, 1.0, Path("/log"))

    monkeypatch.setattr(lifecycle, "_play", play)
    graded(lab, volume="fail")  # the network is the learner's own work
    assert lifecycle.solve("90").steps == ("A network",)
    graded(lab)
    one = lifecycle.status("90")[0]
    assert one.record.solved == ("volume",)
    assert [report.task_state(one, task) for task in lab.tasks] == ["done", "helped"]
    assert "solved for you: volume" in render.status([one], render.Style())
    assert "◐ done with help: A volume" in report.text(report.make())


class Page(HTMLParser):
    """What a browser would fetch from elsewhere, and whether everything that opens closes."""

    def __init__(self):
        super().__init__()
        self.open, self.foreign = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.foreign += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_record_is_a_page_of_its_own(kit, lab):
    progress.hinted("90-tiny", "net", 2)
    progress.answered("90-tiny", "who", "quiz", "The <kernel>", False)
    progress.answered("90-tiny", "before", "predict", "a choice of long ago", False)
    graded(lab)
    file = kit.root / "record.html"
    done = kit.lab("report", "--html", str(file), "--json")
    assert done.code == 0, done.err
    one = done.json["labs"][0]
    assert (one["state"], one["passed"], one["total"], one["starts"]) == ("completed", 2, 2, 1)
    assert [(task["id"], task["state"], task["hints"]) for task in one["tasks"]] == [
        ("net", "done", 1), ("volume", "done", 0),
    ]  # fmt: skip
    assert {answer["question"]: answer["choice"] for answer in one["answers"]} == {
        "who": "The <kernel>", "before": "a choice of long ago",
    }  # fmt: skip
    text = file.read_text()
    page = Page()
    page.feed(text)
    assert not page.open
    assert not page.foreign
    for said in ("ada &lt;lovelace&gt;", "The &lt;kernel&gt;", "✘ wrong", "A network joins", 'lang="en"'):
        assert said in text
    chinese = kit.lab("report", "90", VIRTLAB_LANG="zh").out
    assert re.search(r"✔ 完成", chinese)


def test_the_record_of_somebody_new_and_a_file_that_cannot_be(kit, lab):
    new = kit.lab("report", VIRTLAB_DATA=str(kit.root / "new"))
    assert "No lab was started yet" in new.out
    refused = kit.lab("report", "--html", str(kit.root / "no/such/place.html"))
    assert refused.code == 3
    assert "I cannot write" in refused.err
