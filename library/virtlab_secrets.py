#!/usr/bin/python
"""Generated passwords, one a file: made when missing, never shown, never changed."""

from __future__ import annotations

import os
import pwd
import secrets
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: virtlab_secrets
short_description: Generate passwords into files that only their owner reads
description:
  - Makes each missing (or empty) file with a random password. The others keep what they say.
  - The passwords are never returned, so nothing of them reaches a log.
options:
  name:
    description: The secrets' names; each becomes a file.
    type: list
    elements: str
    required: true
  owner:
    description: Whose files they are.
    type: str
    required: true
  folder:
    description: Where they are. The folder is made if it is missing, for nobody but the owner.
    type: path
    default: /var/lib/virtlab/secrets
  state:
    description: C(absent) removes the files, not the folder.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Generate the database's passwords
  virtlab_secrets:
    name: [db_password, db_root_password]
    owner: "{{ virtlab_user }}"
"""

RETURN = r"""
names:
  description: Which secrets were, or in check mode would be, made, repaired or removed. Never what they say.
  type: list
  elements: str
  returned: always
"""

def folder_is_right(folder: Path, owner: pwd.struct_passwd) -> bool:
    return folder.is_dir() and folder.stat().st_uid == owner.pw_uid and folder.stat().st_mode & 0o777 == 0o700


def is_right(file: Path, owner: pwd.struct_passwd) -> bool:
    if not file.is_file():
        return False
    seen = file.stat()
    return seen.st_size > 0 and seen.st_uid == owner.pw_uid and seen.st_mode & 0o777 == 0o600


def make(file: Path, owner: pwd.struct_passwd) -> None:
    """The password, whole or not at all: a crash must not leave half of one that something already uses."""
    if not file.is_file() or not file.stat().st_size:
        part = file.with_name(f".{file.name}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(16))     # no newline: who reads the file need not strip it
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    os.chown(file, owner.pw_uid, owner.pw_gid)
    file.chmod(0o600)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "owner": {"type": "str", "required": True},
            "folder": {"type": "path", "default": "/var/lib/virtlab/secrets"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    files = [folder / name for name in module.params["name"]]
    try:
        owner = pwd.getpwnam(module.params["owner"])
    except KeyError:
        module.fail_json(msg=f"This machine has no user '{module.params['owner']}'. Set virtlab_user.")
    absent = module.params["state"] == "absent"
    todo = [file for file in files if (file.exists() if absent else not is_right(file, owner))]
    remake = not absent and not folder_is_right(folder, owner)
    try:
        if remake and not module.check_mode:
            folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            folder.chmod(0o700)
        for file in [] if module.check_mode else todo:
            if absent:
                file.unlink()
            else:
                make(file, owner)
    except OSError as error:
        module.fail_json(msg=f"I cannot keep secrets in {folder}: {error.strerror}.")
    module.exit_json(changed=bool(todo or remake), names=[file.name for file in todo])


if __name__ == "__main__":
    main()
