"""Running real, tiny playbooks: what is told, what is kept, and what a failure says."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from virtlab import playbooks
from virtlab.errors import Exit, PlaybookError

PLAY = """
- hosts: lab_host
  gather_facts: false
  tasks:
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("VIRTLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def play(tmp_path):
    def run(tasks: str, **how):
        file = tmp_path / "play.yml"
        file.write_text(PLAY + tasks)
        return playbooks.run(file, log="try", **how)

    return run


def test_changes_are_counted_and_named(play, tmp_path):
    events = []
    result = play(
        f"""
    - name: Write
      ansible.builtin.copy: {{content: "{{{{ word }}}}", dest: "{tmp_path}/{{{{ item }}}}", mode: "0600"}}
      loop: [a, b]
    - name: Look
      ansible.builtin.stat: {{path: "{tmp_path}/a"}}
""",
        variables={"word": "lives"},
        on_event=events.append,
    )
    assert [(task, item) for _, task, item in result.changes] == [("Write", "a"), ("Write", "b")]
    assert (result.changed, result.ok) == (2, 2)
    assert [event.task for event in events if event.kind == "task"] == ["Write", "Look"]
    assert (tmp_path / "a").read_text() == "lives"
    assert "TASK [Write]" in result.log.read_text()
    assert result.log.stat().st_mode & 0o777 == 0o600


def test_check_mode_says_what_would_change_and_changes_nothing(play, tmp_path):
    result = play(
        f"""
    - name: Write
      ansible.builtin.copy: {{content: x, dest: "{tmp_path}/a", mode: "0600"}}
""",
        check=True,
    )
    assert result.changes == [("", "Write", "")]
    assert not (tmp_path / "a").exists()


def test_a_failed_task_tells_its_whole_story(play):
    with pytest.raises(PlaybookError) as failed:
        play("""
    - name: Mend the roof
      ansible.builtin.shell: "echo 3 tiles missing; echo no ladder >&2; exit 7"
""")
    error = failed.value
    for said in ("Mend the roof", "this-machine", "(7)", "no ladder", "3 tiles missing"):
        assert said in error.message
    assert str(error.log) in error.do
    assert "same command again" in error.do
    assert error.exit == Exit.PLAYBOOK


def test_the_item_of_a_loop_that_failed_is_named(play):
    with pytest.raises(PlaybookError, match=r"\(second\).*failed"):
        play("""
    - name: Try each
      ansible.builtin.assert: {that: item != 'second', quiet: true}
      loop: [first, second]
""")


def test_a_rescued_failure_is_none(play):
    assert (
        play("""
    - name: Try
      block:
        - name: Fall
          ansible.builtin.fail: {}
      rescue:
        - name: Get up
          ansible.builtin.debug: {}
""").changed
        == 0
    )


def test_a_playbook_that_is_none_says_what_is_wrong_with_it(play):
    with pytest.raises(PlaybookError, match=r"did not run: .*nosuchmodule"):
        play("""
    - name: Do
      nosuchmodule: {}
""")


def test_the_users_own_variables_are_used_and_a_bad_ansible_setting_is_not(play, tmp_path, monkeypatch):
    monkeypatch.setenv("ANSIBLE_STRATEGY", "nosuchstrategy")
    (tmp_path / "config/virtlab").mkdir(parents=True)
    (tmp_path / "config/virtlab/variables.yml").write_text("colour: green\n")
    with pytest.raises(PlaybookError, match="green 1"):
        play('    - {name: Say, ansible.builtin.fail: {msg: "{{ colour }} {{ n }}"}}', variables={"n": 1})


def test_secrets_are_not_left_behind(play):
    play(
        '    - {name: Say, ansible.builtin.debug: {msg: "{{ word }}"}, no_log: true}',
        variables={"word": "hush-1"},
    )
    places = [Path("/run"), Path(os.environ.get("TMPDIR", "/tmp"))]  # noqa: S108
    assert not [left for place in places for left in place.glob(f"virtlab-{os.getpid()}-*")]


@pytest.fixture
def napping(tmp_path):
    """A process that runs a playbook which sleeps; and a way to see whether the sleep still runs."""
    nap = 100_000 + os.getpid()
    (tmp_path / "nap.yml").write_text(PLAY + f"    - {{name: Nap, ansible.builtin.command: sleep {nap}}}\n")
    code = (
        "import sys, pathlib; from virtlab import playbooks; from virtlab.errors import LabError\n"
        "try: playbooks.run(pathlib.Path(sys.argv[1]), log='nap')\n"
        "except LabError as error: sys.exit(error.message)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "nap.yml"], stderr=subprocess.PIPE, text=True
    )

    def sleeps() -> bool:
        return not subprocess.run(
            ["pgrep", "-f", f"^sleep {nap}$"], capture_output=True, check=False
        ).returncode

    wait_for(sleeps)
    yield process, sleeps
    process.kill()


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_ctrl_c_stops_it_and_says_where_it_was(napping):
    process, sleeps = napping
    process.send_signal(signal.SIGINT)
    assert "Interrupted in 'Nap'" in process.communicate(timeout=15)[1]
    wait_for(lambda: not sleeps())


def test_killed_it_takes_its_tasks_along(napping):
    process, sleeps = napping
    process.kill()
    wait_for(lambda: not sleeps())


def test_progress_without_a_terminal(capsys, monkeypatch):
    from virtlab import display
    from virtlab.playbooks import Event

    monkeypatch.setattr(display, "HEARTBEAT", 0.5)
    with display.Progress(["engine", "blog"]) as progress:
        progress.on_event(Event("task", "", "Gathering Facts"))
        progress.on_event(Event("task", "engine", "Install"))
        progress.on_event(Event("task", "other", "A role that another role includes"))
        progress.on_event(Event("changed", "other", "A role that another role includes"))
        assert progress.now().startswith("1 of 2  engine: A role that another role includes")
        time.sleep(1.6)
        progress.on_event(Event("task", "blog", "Start"))
        progress.on_event(Event("task", "engine", "A handler, later"))
    lines = capsys.readouterr().err.splitlines()
    assert re.match(r"  … 1 of 2  engine: A role that another role includes  \d+ s", lines[0])
    assert re.match(r"  engine +\d+\.\d s  1 changed", lines[-2])
    assert re.match(r"  blog +\d+\.\d s$", lines[-1])


def test_the_result_is_plain_data(play):
    result = play("    - {name: Say, ansible.builtin.debug: {}}")
    assert json.dumps([result.changed, result.ok, result.seconds, result.changes])
