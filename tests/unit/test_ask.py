"""Questions and predictions: in a notebook with widgets, and as text where there are none."""

import ipywidgets
import pytest
from tests.unit.test_ending import QUIZ

from virtlab import catalogue, progress
from virtlab.errors import UsageError
from virtlab.notebook import ask, view


@pytest.fixture
def lab(kit, monkeypatch):
    monkeypatch.setenv("VIRTLAB_LANG", "en")
    monkeypatch.delenv("VIRTLAB_STRICT", raising=False)
    folder = kit.make("90-tiny", "tiny", docker=False)
    (folder / "quiz.yml").write_text(QUIZ)
    return catalogue.load("90-tiny")


@pytest.fixture
def front_end(monkeypatch):
    monkeypatch.setattr(ask, "_has_front_end", lambda: True)


def parts(panel):
    """The choices, the buttons and the place for what is said, of a panel's first card."""
    _, choices, buttons, said = panel.widget.children[0].children
    return choices, *buttons.children, said


def test_where_outputs_are_tested_nothing_differs_from_the_stored_ones(lab, front_end, monkeypatch):
    monkeypatch.setenv("VIRTLAB_STRICT", "1")
    who, before = lab.quiz.find("who"), lab.quiz.find("before")
    assert ask.quiz(lab, "who", "") == view.questions([who])
    assert ask.predict(lab, "before", "") == view.prediction(before, "")
    assert ask.predict(lab, "before", "b") == view.prediction(before, "b")


def test_without_widgets_it_is_text_and_says_how_to_answer(lab):
    assert repr(ask.quiz(lab, "who", "")).endswith("Answer like this: `%lab quiz who a`")
    assert "<details>" in ask.quiz(lab, "who", "")._repr_html_()
    said = repr(ask.quiz(lab, "who", "b"))
    assert "✘ wrong ← your answer: b) The <kernel>" in said
    assert "✔ right: a) A DNS server" in said
    assert "At 127.0.0.11." in said
    with pytest.raises(UsageError, match="no answer 'z'"):
        ask.quiz(lab, "who", "z")


def test_a_widget_brings_text_and_html_for_those_who_cannot_show_it(lab, front_end):
    bundle = ask.quiz(lab, "who", "")._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Who answers to names?")
    assert "<details>" in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]


def test_choose_answer_and_read_what_there_is_to_every_choice(lab, front_end):
    choices, button, _, said = parts(ask.quiz(lab, "who", ""))
    assert isinstance(choices, ipywidgets.RadioButtons)  # arrows choose, Tab leads on
    assert [label for label, _ in choices.options] == ["a) A DNS server", "b) The <kernel>"]
    assert choices.index is None
    assert button.disabled
    choices.index = 1
    assert not button.disabled
    button.click()
    assert 'role="status"' in said.value
    for word in ("✘ wrong ← your answer", "✔ right", "At 127.0.0.11.", "It knows numbers.", "&lt;kernel&gt;"):
        assert word in said.value
    choices.index = 0
    button.click()
    kept = progress.read("90-tiny").answer("who")
    assert (kept.choice, kept.is_right, kept.tries) == ("A DNS server", True, 2)


def test_commit_to_a_prediction_then_see_both(lab, front_end):
    choices, button, reveal, said = parts(ask.predict(lab, "before", ""))
    assert reveal.layout.display == "none"
    choices.index = 0
    button.click()
    assert choices.disabled
    assert button.disabled
    assert "Now run the experiment." in said.value
    assert "It does not." not in said.value  # not before the experiment
    assert reveal.layout.display != "none"
    reveal.click()
    for word in ("Before the experiment you said:", "✘ wrong ← your answer: a) Yes", "Indeed not."):
        assert word in said.value
    again = repr(ask.predict(lab, "before", ""))
    assert "Before the experiment you said: Yes" in again
    assert "✔ right: b) No" in again
    assert "Before the experiment you said: Yes" in repr(ask.predict(lab, "before", "b"))  # too late


def test_an_answer_that_cannot_be_kept_is_told(lab, front_end):
    choices, button, _, said = parts(ask.quiz(lab, "who", ""))
    progress.file().parent.mkdir(parents=True)
    progress.file().write_text("damaged" * 200)
    choices.index = 0
    button.click()
    assert "I cannot keep your progress" in said.value


def test_all_questions_at_once(lab, front_end):
    assert len(ask.quiz(lab, "", "").widget.children) == 1


class FrontEnd:
    """What a browser does with a kernel: run cells, keep the widgets' state, turn clicks into messages."""

    def __init__(self, env, folder):
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(kernel_name="python3", env=env, cwd=str(folder))
        self.models: dict[str, dict] = {}
        self.bundles: list[dict] = []

    def wait(self, message):
        while True:
            got = self.client.get_iopub_msg(timeout=20)
            content = got["content"]
            if got["msg_type"] == "comm_open":
                self.models[content["comm_id"]] = content["data"]["state"]
            elif got["msg_type"] == "comm_msg":
                self.models[content["comm_id"]] |= content["data"].get("state", {})
            elif got["msg_type"] == "display_data":
                self.bundles.append(content["data"])
            elif got["msg_type"] == "error":
                raise AssertionError(content["evalue"])
            if content.get("execution_state") == "idle" and got["parent_header"].get("msg_id") == message:
                return

    def run(self, code):
        self.wait(self.client.execute(code))

    def model(self, name, **state):
        return next(
            key for key, one in self.models.items()
            if one.get("_model_name") == name and all(one.get(k) == v for k, v in state.items())
        )  # fmt: skip

    def tell(self, comm, data):
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)
        self.wait(message["header"]["msg_id"])

    def choose(self, comm, index):
        self.tell(comm, {"method": "update", "state": {"index": index}, "buffer_paths": []})

    def click(self, comm):
        self.tell(comm, {"method": "custom", "content": {"event": "click"}})


def test_in_a_kernel_as_a_browser_uses_it(lab, kit):
    own = {"JPY_SESSION_NAME": "90-tiny.ipynb", "IPYTHONDIR": str(kit.root / "ipython")}
    env = kit.environment(VIRTLAB_LANG="en", **own)
    env.pop("VIRTLAB_STRICT", None)
    front = FrontEnd(env, kit.root)
    try:
        front.run("%load_ext virtlab.notebook")
        front.run("%lab predict before")
        assert "application/vnd.jupyter.widget-view+json" in front.bundles[-1]
        front.choose(front.model("RadioButtonsModel"), 1)
        commit = front.model("ButtonModel", description="I commit to this")
        assert front.models[commit]["disabled"] is False
        front.click(commit)
        said = [one["value"] for one in front.models.values() if one.get("_model_name") == "HTMLModel"]
        assert any("You say No" in one and "Now run the experiment." in one for one in said)
        front.run("%lab predict before")
        assert "Before the experiment you said: No" in front.bundles[-1]["text/plain"]
    finally:
        front.client.stop_channels()
        front.manager.shutdown_kernel(now=True)
    assert progress.read("90-tiny").answer("before").is_right
