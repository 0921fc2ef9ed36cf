"""What `lab up` and `lab down` refuse, and how they say it. Nothing here changes the machine."""

import io
import json
import os
import shutil
import subprocess
import sys

import pexpect
import pytest

from virtlab import groups, paths, preflight, roles, root
from virtlab.cli import main
from virtlab.commands import down, up
from virtlab.errors import MachineError, UsageError

LAB = paths.ROOT / "lab"


def lab(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LAB, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        **more,
    )


def test_an_unknown_role_is_refused_with_its_nearest():
    done = lab("up", "--only", "regitry")
    assert done.returncode == 2
    assert "Did you mean 'registry'?" in done.stderr


def test_an_unknown_variable_is_refused_with_its_nearest():
    done = lab("up", "--set", "jupyterlab_prot=9")
    assert done.returncode == 2
    assert "Did you mean 'jupyterlab_port'?" in done.stderr


def test_errors_come_as_json_too():
    done = lab("up", "--only", "nothing-like-it", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["exit"] == 2


@pytest.mark.parametrize(
    ("said", "value"), [("9", 9), ("[a, b]", ["a", "b"]), ("x=y", "x=y"), ("true", True)]
)
def test_values_are_yaml(said, value):
    assert roles.parse([f"jupyterlab_port={said}"]) == {"jupyterlab_port": value}


@pytest.mark.parametrize("said", ["jupyterlab_port", "jupyterlab_port={a"])
def test_a_setting_that_is_none_is_refused(said):
    with pytest.raises(UsageError):
        roles.parse([said])


def test_down_undoes_every_role_in_reverse():
    import yaml

    play = yaml.safe_load(roles.DOWN.read_text())[0]
    assert [role["role"] for role in play["roles"]] == roles.names()[::-1]
    assert {f"{name}_state" for name in roles.names()} == set(play["vars"])
    assert set(down.DATA) <= set(roles.names())


@pytest.fixture
def ordinary(tmp_path, monkeypatch):
    """An ordinary user with a PATH of its own, where a sudo may be put."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["lab", "down", "--purge"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_no_root_and_no_sudo(ordinary, capsys):
    assert main(["down", "--purge"]) == 3
    said = capsys.readouterr().err
    assert "there is no sudo on this machine" in said
    assert f"{LAB} down --purge" in said


def test_sudo_that_wants_a_password_from_nobody(ordinary, capsys):
    (ordinary / "sudo").write_text("#!/bin/bash\nexit 1\n")
    (ordinary / "sudo").chmod(0o755)
    assert main(["down", "--purge"]) == 3
    assert "a password that nobody is here to type" in capsys.readouterr().err


def test_what_sudo_may_keep_is_named_but_not_shown(monkeypatch):
    called = []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "execv", lambda _, command: called.extend(command))
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/true")
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy")
    monkeypatch.setenv("UNRELATED", "x")
    root.become("It", ["up"])
    assert any(word.startswith("--preserve-env=") and "https_proxy" in word for word in called)
    assert not any("secret" in word or "UNRELATED" in word for word in called)


def test_groups_are_left_alone_by_root_and_the_second_time(monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("it went on")

    monkeypatch.setattr(os, "execv", fail)
    monkeypatch.setenv("VIRTLAB_GROUPS", "docker")
    groups.join(["list"])


def test_no_room_names_the_folder_and_both_figures(monkeypatch):
    monkeypatch.setattr(preflight, "NEEDS_GB", 10**9)
    monkeypatch.setattr(preflight, "NEEDS_GB_AGAIN", 10**9)
    with pytest.raises(MachineError, match=r"/\S* has \d+\.\d GB free; .* 1000000000\.0 GB"):
        preflight.check()


def test_a_package_installation_at_work_is_not_an_interrupted_one(tmp_path, monkeypatch):
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates/0001").touch()
    monkeypatch.setattr(preflight, "DPKG", tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it went between"))
    hold = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "print(flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", hold, tmp_path / "lock-frontend"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as apt:
        apt.stdout.readline()
        assert not preflight.finish_interrupted_dpkg()
        apt.stdin.close()


@pytest.mark.host
def test_a_full_disk(tmp_path):
    """On a real one: 16 MB in memory."""
    done = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            'mount -t tmpfs -o size=16m none "$1" && exec "$2" up --check',
            "sh",
            tmp_path,
            LAB,
        ],
        env=os.environ | {"VIRTLAB_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 3
    assert f"{tmp_path} has 0.0 GB free" in done.stderr


def test_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(up, "LOCK", tmp_path / "lock")
    with (
        up.alone("up"),
        pytest.raises(MachineError, match=rf"`lab up` \(process {os.getpid()}, since .*\) is running"),
        up.alone("down"),
    ):
        pass
    with up.alone("down"):
        pass


def test_nothing_to_take_down(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "STATE", tmp_path)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    assert not down._is_there(purge=False)
    (tmp_path / "installed-packages").write_text("docker.io\n")
    assert not down._is_there(purge=False)
    assert down._is_there(purge=True)
    (tmp_path / "host.d").mkdir()
    assert down._is_there(purge=False)


def test_the_record_of_packages_outlives_a_down_that_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "STATE", tmp_path / "state")
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    for name in ("LOGS", "RUN", "LOCK"):
        monkeypatch.setattr(down, name, tmp_path / name)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/installed-packages").write_text("docker.io\n")
    down._remove_the_rest(purge=False)
    assert not (tmp_path / "state").exists()
    up.keep_record()
    assert (tmp_path / "state/installed-packages").read_text() == "docker.io\n"


def test_what_was_never_installed_is_not_undone(monkeypatch):
    monkeypatch.setattr(
        shutil, "which", lambda program: "/usr/sbin/libvirtd" if program == "libvirtd" else None
    )
    monkeypatch.setattr(down, "_answers", lambda _: True)
    assert down._wake(["jupyterlab", "wordpress", "registry", "vm_image", "kvm_host", "docker_engine"]) == [
        "jupyterlab", "vm_image", "kvm_host",
    ]  # fmt: skip


def test_purge_is_for_all_of_it():
    done = lab("down", "--only", "wordpress", "--purge")
    assert (done.returncode, "Use one of them" in done.stderr) == (2, True)


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_it_asks_once(answer, goes_on):
    code = "from virtlab.commands import up; up.ask(up.ABOUT.format(user='ada'), 'Go on?'); print('went on')"
    child = pexpect.spawn(sys.executable, ["-c", code], encoding="utf-8", timeout=20)
    child.expect_exact("put ada in the groups")
    child.expect_exact("Go on? [y/N] ")
    child.sendline(answer)
    assert child.expect_exact(["went on", "Nothing was changed"]) == (0 if goes_on else 1)


def test_where_nobody_could_answer_it_does_not_ask(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    up.ask("about", "question")
    assert capsys.readouterr().err == ""


EN, ZH = {"jupyterlab_language": "en"}, {"jupyterlab_language": "zh"}


@pytest.mark.parametrize(("locale", "told", "expected"), [
    ("C.UTF-8", ({}, {}, None), {}),
    ("zh_CN.UTF-8", ({}, {}, None), ZH),        # and it goes on so, whatever terminal comes next
    ("zh_CN.UTF-8", ({}, EN, None), {}),
    ("C.UTF-8", ({}, ZH, "en"), EN),
    ("C.UTF-8", (ZH, {}, "en"), ZH),
])
def test_jupyterlab_speaks_as_it_was_told_to(monkeypatch, locale, told, expected):
    monkeypatch.setenv("LC_ALL", locale)
    assert up._language(*told) == expected


@pytest.mark.parametrize("wrong", ["de", "zh_CN", "", False])
def test_there_is_no_edition_in_other_languages(wrong):
    with pytest.raises(UsageError, match="There is no edition in"):
        up._language({"jupyterlab_language": wrong}, {}, None)
