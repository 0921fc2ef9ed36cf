"""House rules that nobody keeps in mind: what the files must never say, and what must always be there."""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import fastjsonschema
import pytest
import yaml

from virtlab import catalogue, cli, paths
from virtlab.doctor.network import configured_mirrors

ROOT = paths.ROOT
ROLES = sorted(folder.name for folder in (ROOT / "roles").iterdir() if folder.is_dir())
LOCKS = sorted(ROOT.glob("requirements*.txt"))
COMMON = {
    "/",
    "/home/",
    "/opt/",
    "/root/",
    "/srv/",
    "/tmp/",  # noqa: S108
    "/usr/src/",
    "/var/tmp/",  # noqa: S108
}  # of no machine in particular


@cache
def tracked() -> dict[str, str]:
    """The text of every file that is in git or about to be."""
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    texts = {}
    for name in filter(None, names):
        file = ROOT / name
        if file.is_file() and b"\0" not in (content := file.read_bytes()):
            texts[name] = content.decode(errors="replace")
    assert len(texts) > 50
    return texts


def lines_with(pattern: str) -> list[str]:
    found = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in tracked().items()
        if found.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if found.search(line)
    ]


def registry_hosts() -> set[str]:
    """Read from this machine's own configuration, so that none is written here."""
    hosts = set(configured_mirrors())
    script = (
        "from pip._internal.models.index import PyPI; print(PyPI.url, 'https://' + PyPI.file_storage_domain)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    environment = " ".join(value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")))
    urls = re.findall(r"https?://[^\s'\",]+", " ".join((said, settings, environment)))
    return hosts | {host for url in urls if (host := urlsplit(url).hostname) and "." in host}


def test_no_package_registry_is_named() -> None:
    hosts = registry_hosts()
    assert hosts, "no package source is configured on this machine, so this looks at nothing"
    names = "|".join(re.escape(host) for host in sorted(hosts))
    assert not lines_with(rf"(?i)(^|[^a-z0-9.-])({names})")


def test_no_path_of_this_machine() -> None:
    above = f"{ROOT.parent}/".replace("//", "/")
    places = [f"{ROOT}/", *([above] if above not in COMMON else [])]
    assert not lines_with("|".join(re.escape(place) for place in places))


def test_no_secret_of_this_machine() -> None:
    """Neither in a file nor in a guide's stored output."""
    if not os.access(paths.SECRETS, os.R_OK):
        assert not paths.SECRETS.exists() or os.geteuid() != 0
        return
    secrets = [file.read_text(errors="replace").strip() for file in paths.SECRETS.iterdir() if file.is_file()]
    leaked = [name for name, text in tracked().items() for one in secrets if len(one) > 7 and one in text]
    assert not leaked


def test_no_private_key_or_token() -> None:
    key = "-----BEGIN " + r"([A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=]{40}"
    token = r"\b(ghp_|github_pat_|glpat-|xox[bp]-|AKIA)[A-Za-z0-9_-]{16,}"
    assert not [name for name, text in tracked().items() if re.search(key, text) or re.search(token, text)]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.name)
def test_locks_have_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--(extra-)?index-url|--find-links)\b", text, re.M)
    packages = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert packages
    for package in packages:
        assert re.match(r"[A-Za-z0-9._-]+(\[[^\]]+\])?==\S+", package), package.splitlines()[0]
        assert "--hash=sha256:" in package, package.splitlines()[0]


# Roles


def specification(role: str) -> dict[str, Any]:
    file = ROOT / "roles" / role / "meta/argument_specs.yml"
    assert file.exists(), f"{role} has no meta/argument_specs.yml"
    options: dict[str, Any] = yaml.safe_load(file.read_text())["argument_specs"]["main"].get("options") or {}
    return options


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_complete(role: str) -> None:
    folder = ROOT / "roles" / role
    readme = folder / "README.md"
    assert readme.exists()
    tests = [file for file in (ROOT / "tests/roles").glob("test_*.py") if role in file.stem]
    assert tests, f"nothing in tests/roles is called test_{role}.py"
    assert f"{role}_state" in specification(role), "it cannot be undone: there is no <role>_state"
    undo = [file for file in (folder / "tasks").rglob("*.yml") if "absent" in file.name]
    assert undo, "nothing in its tasks is called absent"


@pytest.mark.parametrize("role", ROLES)
def test_a_roles_defaults_are_its_specification(role: str) -> None:
    options = specification(role)
    file = ROOT / "roles" / role / "defaults/main.yml"
    defaults = (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}
    own = {name: option for name, option in options.items() if name.startswith(f"{role}_")}
    assert set(defaults) == {name for name, option in own.items() if not option.get("required")}
    for name, option in own.items():
        assert option.get("description"), f"{name} is not described"
        if "default" in option and "{{" not in str(defaults[name]):  # a template may be said in words
            assert option["default"] == defaults[name], f"{name} has two defaults"


@pytest.mark.parametrize("role", ROLES)
def test_a_roles_readme_is_true(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text()
    options = specification(role)
    named = set(re.findall(rf"(?<![\w/.-]){role}_[a-z0-9_]+", text))
    assert named <= set(options), "the README names variables that the role does not have"
    missing = {name for name in options if name.startswith(f"{role}_") and name not in text}
    assert not missing or "(defaults/main.yml)" in text, "it neither lists its variables nor links to them"


# The command line, its documentation, the schemas


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_there(name: str) -> None:
    module = importlib.import_module(cli.COMMANDS[name][0])
    module.configure(argparse.ArgumentParser())
    assert callable(module.run)
    assert module.__doc__


def test_help_lists_every_command() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "virtlab", "--help"], capture_output=True, text=True, check=True
    )
    for name, (_, line) in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", said.stdout, re.M)


def test_docs_commands_describes_every_command_and_no_other() -> None:
    headings = re.findall(r"^#+ `lab ([a-z]+)", (ROOT / "docs/commands.md").read_text(), re.M)
    assert set(headings) == set(cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_docs_commands_names_every_option(name: str) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module(cli.COMMANDS[name][0]).configure(parser)
    text = (ROOT / "docs/commands.md").read_text()
    section = re.search(rf"^#+ `lab {name}\b.*?(?=^#+ |\Z)", text, re.M | re.S)
    assert section
    options = [
        option for action in parser._actions for option in action.option_strings if option.startswith("--")
    ]
    assert [option for option in options if option not in section.group()] == []


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


def test_links_in_documents_resolve() -> None:
    broken = []
    for name, text in tracked().items():
        if not name.endswith(".md"):
            continue
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", target):
                continue
            place, _, part = unquote(target).partition("#")
            file = (ROOT / name).parent / place if place else ROOT / name
            if not file.exists():
                broken.append(f"{name}: {target}")
            elif part and file.suffix == ".md":
                headings = re.findall(r"^#+ +(.+)$", file.read_text(), re.M)
                if part not in map(anchor, headings):
                    broken.append(f"{name}: {target}")
    assert not broken


@pytest.mark.parametrize("name", ["lab.schema.json", "quiz.schema.json"])
def test_schemas_are_valid(name: str) -> None:
    schema = json.loads((ROOT / "src/virtlab" / name).read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    validate = fastjsonschema.compile(schema)
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate({"no such key": 1})


def test_every_lab_is_readable_and_has_its_own_prefix_and_ports() -> None:
    labs = catalogue.every()
    broken = [f"{one.slug}: {one.error.message}" for one in labs if isinstance(one, catalogue.Broken)]
    assert not broken
    good = [one for one in labs if isinstance(one, catalogue.Lab)]
    prefixes = [one.prefix for one in good]
    assert len(set(prefixes)) == len(prefixes)
    used = [port for one in good for port in one.ports.values()]
    assert len(set(used)) == len(used)


def test_files_are_short() -> None:
    """A lab's checks are one file by design, so they may be longer."""
    long = [
        f"{name}: {text.count(chr(10))} lines"
        for name, text in tracked().items()
        if name.endswith(".py") and text.count("\n") > (500 if name.endswith("/checks.py") else 400)
    ]
    assert not long
