"""A class's folder: what is read from it, and that everything wrong is said at once, with file and line."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import fastjsonschema
import pytest
import yaml

from virtlab import cli, paths
from virtlab.classroom import inventory, survey
from virtlab.errors import UsageError
from virtlab.hub.placement import SeatSize

EXAMPLE = paths.ROOT / "inventory/classroom.example"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(EXAMPLE, tmp_path / "my-class")


def change(folder, name, old, new):
    file = folder / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def said(folder):
    found, wrong = inventory.read(folder)
    assert (found is None) == any(one.is_error for one in wrong)
    return [(one.file.name, one.line, one.message) for one in wrong]


def line(folder, name, text):
    return next(
        number for number, one in enumerate((folder / name).read_text().splitlines(), 1) if text in one
    )


def test_the_example_is_a_class(folder):
    found, wrong = inventory.read(folder)
    assert wrong == []
    assert found.seat == SeatSize(1536, 2, 20480, 4)
    assert [one.id for one in found.roster.students] == ["s001", "s002", "s003"]
    assert (found.address, found.listen, found.port) == ("https://localhost:8443", "127.0.0.1", 8443)
    assert found.hosts == (found.hub,)
    assert found.hub.uri(found.hub) == "qemu:///system"


def test_the_defaults_are_those_of_the_example(folder):
    whole, _ = inventory.read(folder)
    wanted = yaml.safe_load((folder / "class.yml").read_text())
    (folder / "class.yml").write_text(yaml.safe_dump({name: wanted[name] for name in ("title", "labs")}))
    assert inventory.read(folder)[0] == whole


def test_the_schema_refuses_what_it_does_not_know():
    schema = json.loads((paths.ROOT / "src/virtlab/class.schema.json").read_text())
    with pytest.raises(fastjsonschema.JsonSchemaException):
        fastjsonschema.compile(schema)({"title": {"en": "x"}, "labs": ["all"], "seats": 3})


def test_many_hosts(folder):
    (folder / "hosts.yml").write_text("""\
all:
  children:
    hub:
      hosts:
        front: {ansible_host: 192.0.2.1, ansible_connection: local}
    big:
      hosts: {}
    kvm_hosts:
      hosts:
        front:
        kvm[01:03]:
      children:
        old:
    old:
      hosts:
        kvm9: {ansible_host: 192.0.2.9, ansible_user: lab, ansible_port: 2222}
        kvm8: {libvirt_uri: "qemu+tls://kvm8/system"}
""")
    found, wrong = inventory.read(folder)
    assert wrong == []
    assert {one.name: one.uri(found.hub) for one in found.hosts} == {
        "front": "qemu:///system",
        "kvm01": "qemu+ssh://root@kvm01/system",
        "kvm02": "qemu+ssh://root@kvm02/system",
        "kvm03": "qemu+ssh://root@kvm03/system",
        "kvm9": "qemu+ssh://lab@192.0.2.9:2222/system",
        "kvm8": "qemu+tls://kvm8/system",
    }


def test_ansible_reads_the_example_as_we_do():
    program = paths.ROOT / ".venv/bin/ansible-inventory"
    listed = subprocess.run(
        [program, "-i", EXAMPLE / "hosts.yml", "--list"], capture_output=True, text=True, check=True
    )
    groups = json.loads(listed.stdout)
    found, _ = inventory.read(EXAMPLE)
    assert groups["hub"]["hosts"] == [found.hub.name]
    assert groups["kvm_hosts"]["hosts"] == [one.name for one in found.hosts]


def test_everything_wrong_is_said_at_once(folder):
    change(folder, "hosts.yml", "        this-machine:\n    kvm", "        one:\n        two:\n    kvm")
    change(folder, "class.yml", "memory_mb: 1536", "memory_mb: lots")
    (folder / "roster.csv").write_text("id,name\ns1,A\ns1,B\nteacher,T\n")
    assert said(folder) == [
        (
            "class.yml",
            line(folder, "class.yml", "memory_mb"),
            "'seat.memory_mb' must be a whole number, but is \"lots\".",
        ),
        (
            "hosts.yml",
            line(folder, "hosts.yml", "        two:"),
            "The group `hub` has 2 machines; it needs one.",
        ),
        (
            "hosts.yml",
            line(folder, "hosts.yml", "        this-machine:"),
            "The hub, one, cannot know where this-machine is.",
        ),
        ("roster.csv", 3, "'s1' stands in line 2 already."),
        ("roster.csv", 4, "'teacher' is an instructor in class.yml."),
    ]
    with pytest.raises(UsageError) as error:
        inventory.load(folder)
    assert error.value.message.startswith("In the class's files 5 things are to mend:\n")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "04-local-registry,",
            "04-local-regsitry,",
            "There is no lab '04-local-regsitry' (did you mean '04-local-registry'?).",
        ),
        ("04-local-registry,", "10-first-vm,", "10-first-vm would not start in a seat of 1536 MiB."),
        (
            "https://localhost",
            "http://localhost",
            "'address' cannot be \"http://localhost:8443\": it must match ^https://",
        ),
        ("[teacher]", "[Teacher]", "'instructors[0]' cannot be \"Teacher\""),
        ("labs:", "lab:", "Unknown key 'lab' (did you mean 'labs'?)."),
        ("[en, zh]", "[en, de]", "'languages[1]' must be one of en, zh, but is \"de\"."),
        ("title: {", "title: {{", "Not valid YAML"),
    ],
)
def test_one_thing_wrong_in_class_yml(folder, old, new, expected):
    change(folder, "class.yml", old, new)
    found = said(folder)
    assert [(name, message.startswith(expected)) for name, _, message in found] == [("class.yml", True)], (
        found
    )
    assert found[0][1] > 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "The group `hub` has 0 machines; it needs one."),
        ("[hub]\nold style\n", "Not valid YAML"),
        ("all:\n  children: [hub]\n", "It is no inventory of Ansible's"),
        ("hub:\n  hosts: {a: {ansible_port: many}}\n", "It is no inventory of Ansible's"),
        ("hub: {hosts: {a: }}\nkvm_hosts: {hosts: {'k[3:1': }}\n", "It is no inventory of Ansible's"),
        (
            "hub: {hosts: {a: }}\nkvm_hosts: {hosts: {b: {ansible_host: x}, c: {ansible_host: x}}}\n",
            "c and b are the same machine (x).",
        ),
    ],
)
def test_what_is_no_inventory(folder, text, expected):
    (folder / "hosts.yml").write_text(text)
    messages = [message for name, _, message in said(folder)]
    assert messages[0].startswith(expected), messages


def test_missing_files_and_folders(folder):
    for name in ("hosts.yml", "class.yml", "roster.csv"):
        (folder / name).unlink()
    assert [name for name, _, _ in said(folder)] == ["class.yml", "hosts.yml", "roster.csv"]
    with pytest.raises(UsageError) as error:
        inventory.read(folder / "nowhere")
    assert "cp -r" in error.value.do


def test_all_labs_that_a_seat_can_carry(folder):
    change(
        folder, "class.yml", "[04-local-registry, 05-container-networks, 06-wordpress-stack]   #", "[all]   #"
    )
    small = inventory.read(folder)[0].labs
    change(folder, "class.yml", "memory_mb: 1536", "memory_mb: 4096")
    large = inventory.read(folder)[0].labs
    assert "10-first-vm" in set(large) - set(small)
    assert set(small) < set(large)


# What the machines have


def test_this_machine_is_looked_at(folder):
    found, _ = inventory.read(folder)
    (look,) = survey.look(found)
    assert look.why == ""
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    assert look.host.memory_mb == memory
    assert 0 < look.host.free_mb <= memory
    assert look.host.cpus == os.cpu_count() or look.host.cpus == len(os.sched_getaffinity(0))
    assert look.kvm in ("yes", "no", "maybe")


def test_ansible_asks_the_same_as_we_do_ourselves(folder):
    """Other machines are asked by Ansible; it may as well ask this one."""
    found, _ = inventory.read(folder)
    here, there = survey._ask_here(found.hosts), survey._ask_there(found, found.hosts)
    first, second = (survey._look(found.hub, found, *said["this-machine"]) for said in (here, there))
    assert second.why == ""
    assert (first.host.memory_mb, first.host.cpus, first.kvm) == (
        second.host.memory_mb, second.host.cpus, second.kvm,
    )  # fmt: skip


def test_a_machine_that_does_not_answer_is_named(folder):
    change(folder, "hosts.yml", "        # kvm[01:04]:", "        nowhere: {ansible_host: host.invalid}  #")
    found, _ = inventory.read(folder)
    here, there = survey.look(found)
    assert here.host
    assert there.host is None
    assert "host.invalid" in there.why


# The command


def lab(capsys, *words):
    code = cli.main(["classroom", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_check(folder, capsys):
    code, out, _ = lab(capsys, "check", "-i", folder, "--json")
    done = json.loads(out)
    assert done["capacity"]["wanted"] == 3
    assert code == (0 if done["well"] else 1)
    assert done["machines"][0]["name"] == "this-machine"
    code, out, _ = lab(capsys, "check", "-i", folder)
    assert "3 students, 3 labs, seats of 1536 MiB" in out
    assert "this-machine" in out


def test_check_says_who_would_wait(folder, capsys):
    (folder / "roster.csv").write_text("id,name\n" + "".join(f"s{number},N\n" for number in range(1900)))
    code, out, _ = lab(capsys, "check", "-i", folder)
    assert code == 1
    assert "of 1900 students" in out
    assert "more hosts like this-machine" in out


def test_check_of_a_broken_class(folder, capsys):
    (folder / "roster.csv").write_text("id,name\ns1,A\ns1,B\n")
    code, out, _ = lab(capsys, "check", "-i", folder)
    assert code == 2
    assert "roster.csv:3: 's1' stands in line 2 already." in out
    code, out, _ = lab(capsys, "check", "-i", folder, "--json")
    assert (code, json.loads(out)["findings"][0]["line"]) == (2, 3)


def test_check_names_a_silent_machine(folder, capsys):
    change(folder, "hosts.yml", "        # kvm[01:04]:", "        nowhere: {ansible_host: host.invalid}  #")
    code, out, _ = lab(capsys, "check", "-i", folder)
    assert code == 3
    assert "nowhere cannot be asked" in out
    assert "Try `ssh host.invalid` by hand." in out


def test_check_offline_asks_nobody(folder, capsys, monkeypatch):
    monkeypatch.setattr(survey, "look", None)
    code, out, _ = lab(capsys, "check", "--offline", "-i", folder)
    assert code == 0
    assert "3 students" in out


@pytest.mark.parametrize("words", [[], ["chekc"], ["check"], ["check", "-i", "nowhere"]])
def test_wrong_use_is_explained(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = lab(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert "What to do: " in err


def test_copies_of_the_example_stay_out_of_git():
    for name, ignored in (
        ("inventory/my-class/roster.csv", 0),
        ("inventory/classroom.example/roster.csv", 1),
    ):
        done = subprocess.run(["git", "-C", paths.ROOT, "check-ignore", "-q", name], check=False)
        assert done.returncode == ignored


DAMAGE = [b"\n", b'"', b":", b"- ", b"{", b"}", b"[", b"null", b"&a *a", b"!!x", b"\t", b"1e999", b"\xff"]


@pytest.mark.parametrize("name", ["hosts.yml", "class.yml", "roster.csv"])
def test_no_damage_is_a_traceback(folder, name):
    """Whatever became of a file: a class, or findings."""
    whole = (folder / name).read_bytes()
    for seed in range(60):
        draw = random.Random(seed)  # noqa: S311 (the same every time)
        content = bytearray(whole)
        for _ in range(draw.randint(1, 8)):
            at = draw.randrange(len(content))
            content[at : at + draw.choice([0, 0, 1, 20])] = draw.choice([b"", *DAMAGE])
        (folder / name).write_bytes(content)
        found, wrong = inventory.read(folder)
        assert found is not None or [one.file.name for one in wrong if one.is_error] != []
