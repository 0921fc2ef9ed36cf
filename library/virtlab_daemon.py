#!/usr/bin/python
"""A long-running program on a machine without systemd, and the question whether a daemon really answers."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: virtlab_daemon
short_description: Keep a program running where there is no systemd
description:
  - Judges a daemon by whether it answers, never by a pid file alone.
  - What answers is left as it is, whoever started it.
options:
  name: {description: The name of its pid file and log., type: str, required: true}
  command: {description: Program and arguments., type: list, elements: str, default: []}
  user: {description: Whom it runs as., type: str, default: root}
  environment: {description: More environment variables., type: dict, default: {}}
  chdir: {description: The folder it starts in., type: path, default: /}
  ready:
    description: Where it must answer; a socket's path, C(host:port), a URL, or C(http://unix:/socket:/path).
    type: list
    elements: str
    default: []
  pidfile: {description: The pid file the program writes itself., type: path}
  state:
    description: C(ready) only waits for an answer. C(stopped) ends only what this module has started.
    type: str
    choices: [started, stopped, restarted, ready]
    default: started
  timeout: {description: Seconds to wait for an answer., type: int, default: 30}
  run_dir: {description: Where pid files are., type: path, default: /run/virtlab}
  log_dir: {description: Where logs are., type: path, default: /var/log/virtlab}
"""

EXAMPLES = r"""
- name: Start the engine
  virtlab_daemon:
    name: dockerd
    command: [/usr/sbin/dockerd]
    ready: ["http://unix:/run/docker.sock:/_ping"]
"""

RETURN = r"""
pid: {description: The process that was started., type: int, returned: when one was started}
"""
SECRET = 5  # characters, at least
PATH = (
    os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
)  # an ordinary user's lacks sbin


def http_answers(connection: socket.socket, path: str, host: str) -> bool:
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    status = connection.recv(12).split(b" ")
    return len(status) > 1 and status[1][:1] in (b"2", b"3")


def answers(target: str) -> bool:
    """One probe; anything that goes wrong means: not yet."""
    try:
        if target.startswith("http://unix:"):
            path, _, request = target.removeprefix("http://unix:").partition(":")
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(3)
                s.connect(path)
                return http_answers(s, request or "/", "localhost")
        if target.startswith("/"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(3)
                s.connect(target)
                return True
        http = target.startswith("http://")
        address, _, request = target.removeprefix("http://").partition("/")
        host, _, port = address.rpartition(":")
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=3) as s:
            return http_answers(s, f"/{request}", address) if http else True
    except (OSError, ValueError):
        return False


def command_line(pid: int) -> list[str]:
    try:
        return [part for part in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0") if part]
    except OSError:
        return []


def same(running: list[str], command: list[str]) -> bool:
    """A script runs behind its interpreter, what setpriv starts runs in its place: the ends must agree."""
    n = min(len(running), len(command))
    if not n or Path(running[-n]).name != Path(command[-n]).name:
        return False
    return n == 1 or running[1 - n :] == command[1 - n :]


def living(pidfile: Path) -> int | None:
    """The pid in the file, when there is such a process."""
    try:
        pid = int(pidfile.read_text())
    except (OSError, ValueError):
        return None
    return pid if command_line(pid) else None


def marked(mark: str) -> Iterator[int]:
    """Processes with this in the environment they were started with, the eldest first."""
    for pid in sorted(int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
        try:
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                yield pid
        except OSError:
            continue  # it has ended


def end(pid: int, patience: float = 30) -> None:
    for sig, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return
        until = time.monotonic() + limit
        while time.monotonic() < until:
            if not command_line(pid):  # gone, or a zombie that waits for its parent
                return
            time.sleep(0.05)


class Daemon:
    def __init__(self, module: AnsibleModule) -> None:
        p = module.params
        self.module, self.name, self.command, self.ready = module, p["name"], p["command"], p["ready"]
        self.pidfile = Path(p["run_dir"]) / f"{self.name}.pid"
        self.log = Path(p["log_dir"]) / f"{self.name}.log"
        self.mark = f"VIRTLAB_DAEMON={self.pidfile}"

    def ours(self) -> int | None:
        """The process we started; a pid file of yesterday may name somebody else's by now, or be lost."""
        wanted = self.command or [self.name]
        pid = living(self.pidfile)
        if pid and same(command_line(pid), wanted):
            return pid
        # Children inherit the mark, so the command counts as well; of its own forks a daemon is the eldest.
        return next((pid for pid in marked(self.mark) if same(command_line(pid), wanted)), None)

    def alive(self) -> bool:
        return all(map(answers, self.ready)) if self.ready else self.ours() is not None

    def start(self, command: list[str]) -> int | None:
        p = self.module.params
        program = shutil.which(command[0], path=PATH)
        if not program:
            self.module.fail_json(
                msg=f"{self.name} cannot start: there is no program {command[0]}. "
                "Install the package that brings it, then run this again."
            )
        for folder in (self.pidfile.parent, self.log.parent):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.pidfile.unlink(missing_ok=True)
        account = pwd.getpwnam(p["user"])
        self.log.touch(mode=0o600)
        os.chown(self.log, account.pw_uid, account.pw_gid)
        # Secrets come through the environment, never through arguments, which everybody can list.
        env = {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOME": account.pw_dir,
            "USER": account.pw_name,
            "LOGNAME": account.pw_name,
            "VIRTLAB_DAEMON": str(self.pidfile),
            **{key: str(value) for key, value in p["environment"].items()},
        }
        result = subprocess.run(
            [
                "start-stop-daemon",
                "--start",
                "--oknodo",
                "--background",
                "--make-pidfile",
                "--pidfile",
                self.pidfile,
                "--chuid",
                p["user"],
                "--chdir",
                p["chdir"],
                "--output",
                self.log,
                "--startas",
                program,
                "--",
                *command[1:],
            ],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )
        if result.returncode:
            self.module.fail_json(
                msg=f"{self.name} did not start: {result.stderr.strip()}. Its log is {self.log}."
            )
        self.wait()
        return self.ours()

    def wait(self) -> None:
        patience = self.module.params["timeout"]
        until = time.monotonic() + patience
        while not self.alive():
            started_and_gone = self.pidfile.exists() and self.ours() is None
            if time.monotonic() > until or (started_and_gone and time.monotonic() > until - patience + 2):
                missing = [target for target in self.ready if not answers(target)]
                tail = self.log.read_text(errors="replace").splitlines()[-15:] if self.log.is_file() else []
                what = "ended at once" if started_and_gone else f"does not answer after {patience} s"
                where = f" at {', '.join(missing)}" if missing else ""
                self.module.fail_json(
                    msg=f"{self.name} {what}{where}. Its log ({self.log}) ends with: "
                    f"{' / '.join(tail) or 'nothing'}"
                )
            time.sleep(0.1)

    def restart(self) -> int | None:
        own = self.module.params["pidfile"]
        pid, command = self.ours(), self.command
        names = {Path(word).name for word in self.command}
        if (
            not pid
            and own
            and (pid := living(Path(own)))
            and names & {Path(w).name for w in command_line(pid)[:2]}
        ):
            command = command_line(pid)  # somebody started it by hand: with the same options again
        elif not pid and self.alive():
            self.module.fail_json(
                msg=f"{self.name} runs, but was not started by this kit and left no pid file, so it cannot "
                "be restarted safely. Restart it yourself, then run this again."
            )
        if pid:
            end(pid)
        return self.start(command)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "command": {"type": "list", "elements": "str", "default": []},
            "user": {"type": "str", "default": "root"},
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "chdir": {"type": "path", "default": "/"},
            "ready": {"type": "list", "elements": "str", "default": []},
            "pidfile": {"type": "path"},
            "state": {"choices": ["started", "stopped", "restarted", "ready"], "default": "started"},
            "timeout": {"type": "int", "default": 30},
            "run_dir": {"type": "path", "default": "/run/virtlab"},
            "log_dir": {"type": "path", "default": "/var/log/virtlab"},
        },
        required_if=[("state", "started", ["command"]), ("state", "restarted", ["command"])],
        supports_check_mode=True,
    )
    # What is that short is no secret, and hiding each "2" of every message would tell nobody anything.
    module.no_log_values = {value for value in module.no_log_values if len(value) >= SECRET}
    daemon, state = Daemon(module), module.params["state"]
    if state == "ready":
        if not module.check_mode:
            daemon.wait()
        module.exit_json(changed=False)
    if state == "stopped":
        pid = daemon.ours()
        if not module.check_mode:
            if pid:
                end(pid)
            daemon.pidfile.unlink(missing_ok=True)
        module.exit_json(changed=pid is not None)
    if state == "started" and daemon.alive():
        module.exit_json(changed=False)
    if module.check_mode:
        module.exit_json(changed=True)
    if state == "started" and (pid := daemon.ours()):
        end(pid)  # it lives and does not answer
    started = daemon.restart() if state == "restarted" else daemon.start(daemon.command)
    module.exit_json(changed=True, pid=started)


if __name__ == "__main__":
    main()
