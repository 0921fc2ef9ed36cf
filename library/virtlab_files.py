#!/usr/bin/python
"""A set of small files, links and folders, laid down in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtlab_files
short_description: Lay down a set of files, links and folders
description:
  - One task instead of one for each file, because a task costs a quarter of a second even with nothing to do.
  - Each file is replaced as one step. Missing parent folders are made for root, readable by everybody.
options:
  entries:
    description:
      - What to lay down, in this order. C(content) makes a file, C(link) a symbolic link, neither a folder.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Where., type: path, required: true}
      content: {description: What the file says., type: str}
      link: {description: Where the link points., type: path}
      owner: {description: Whose it is., type: str, default: root}
      mode: {description: Its mode; 0644 for files and 0755 for folders if not said., type: str}
  state:
    description: C(absent) removes the paths, folders with all that is in them.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Write the settings
  virtlab_files:
    entries:
      - {path: /var/lib/virtlab/x/settings.json, content: "{}"}
      - {path: /var/lib/virtlab/x/bin/lab, link: /opt/virtlab/lab}
"""

RETURN = r"""
paths:
  description: What was, or in check mode would be, written, repaired or removed.
  type: list
  elements: str
  returned: always
"""

import os  # noqa: E402
import pwd  # noqa: E402
import shutil  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402


class Entry:
    """One file, link or folder."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.path = Path(values["path"])
        self.link = values["link"]
        self.content = None if values["content"] is None else values["content"].encode()
        self.owner = pwd.getpwnam(values["owner"])
        default = "0755" if self.content is None else "0644"
        self.mode = int(values["mode"] or default, 8)

    def is_right(self) -> bool:
        if self.link is not None:
            return self.path.is_symlink() and str(self.path.readlink()) == self.link
        if self.path.is_symlink():
            return False
        if not (self.path.is_dir() if self.content is None else self.path.is_file()):
            return False
        seen = self.path.stat()
        return (seen.st_uid == self.owner.pw_uid and seen.st_mode & 0o7777 == self.mode
                and (self.content is None or self.path.read_bytes() == self.content))

    def make(self) -> None:
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.link is None and self.content is None:
            self.path.mkdir(exist_ok=True)
        else:
            part = self.path.with_name(f".{self.path.name}.part")
            part.unlink(missing_ok=True)
            if self.link is not None:
                part.symlink_to(self.link)
            else:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                    stream.write(self.content or b"")
                    stream.flush()
                    os.fsync(stream.fileno())
                os.chown(part, self.owner.pw_uid, self.owner.pw_gid)
                part.chmod(self.mode)
            part.replace(self.path)
            return
        os.chown(self.path, self.owner.pw_uid, self.owner.pw_gid)
        self.path.chmod(self.mode)

    def is_there(self) -> bool:
        return os.path.lexists(self.path)

    def remove(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "entries": {
                "type": "list", "elements": "dict", "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "link": {"type": "path"},
                    "owner": {"type": "str", "default": "root"},
                    "mode": {"type": "str"},
                },
                "mutually_exclusive": [("content", "link")],
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        entries = [Entry(values) for values in module.params["entries"]]
    except KeyError as error:
        module.fail_json(msg=f"There is no such user on this machine: {error.args[0]}. Set virtlab_user.")
    absent = module.params["state"] == "absent"
    todo = [entry for entry in entries if (entry.is_there() if absent else not entry.is_right())]
    for entry in [] if module.check_mode else todo:
        try:
            entry.remove() if absent else entry.make()
        except OSError as error:
            verb = "remove" if absent else "write"
            module.fail_json(msg=f"I cannot {verb} {entry.path}: {error.strerror}.")
    module.exit_json(changed=bool(todo), paths=[str(entry.path) for entry in todo])


if __name__ == "__main__":
    main()
