"""Everything a class's hub consists of, kept running: `python -m virtlab.classroom.run CLASS.JSON`.

The proxy, the hub, the board and the culler, each a process of its own. Whichever ends is started again, and
the others go on: students stay connected while the hub is away. They end with this process, even if it is
killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from virtlab.classroom import class_data
from virtlab.classroom.class_data import ClassData
from virtlab.errors import LabError, MachineError

PROXY = "configurable-http-proxy"
DEBIAN_NODE = "/usr/share/nodejs:/usr/lib/nodejs"  # a Node.js not from Debian looks elsewhere
SETTLED = 60.0  # seconds after which a program counts as running well
LONGEST = 30.0  # seconds between two tries
GRACE = 10.0  # seconds to end by itself


@dataclass(frozen=True)
class Program:
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)  # secrets: command lines are for all to read


def programs(data: ClassData, file: Path) -> list[Program]:
    python = [sys.executable, "-P", "-m"]
    if not (proxy := shutil.which(PROXY)):
        raise MachineError(f"There is no {PROXY} on this machine.",
                           do="Install Debian's package node-configurable-http-proxy.")  # fmt: skip
    tls = ["--ssl-cert", data.certificate, "--ssl-key", data.key] if data.certificate else []
    where = ["--ip", data.address, "--port", str(data.port)]
    api = ["--api-ip", "127.0.0.1", "--api-port", str(data.proxy_port)]
    hub = ["--default-target", data.hub_url, "--error-target", f"{data.hub_url}/hub/error"]
    about = {class_data.VARIABLE: str(file)}
    api_url = f"{data.hub_url}/hub/api"
    found = [
        Program("proxy", [proxy, *where, *api, *hub, *tls],
                {"CONFIGPROXY_AUTH_TOKEN": data.secret("proxy"), "NODE_PATH": DEBIAN_NODE}),
        Program("hub", [*python, "jupyterhub", "-f", str(Path(__file__).with_name("hub_config.py"))], about),
        Program("board", [*python, "virtlab.classroom.board"], about),
    ]
    if data.idle_minutes:
        often = [f"--timeout={data.idle_minutes * 60}", f"--cull-every={min(data.idle_minutes * 30, 300)}"]
        account = {"JUPYTERHUB_API_URL": api_url, "JUPYTERHUB_API_TOKEN": data.secret("culler")}
        found.append(Program("culler", [*python, "jupyterhub_idle_culler", *often], account))
    return found


async def keep(program: Program, folder: Path) -> None:
    """Run it, and again whenever it ends, sooner or later depending on how long it went well."""
    pause = 1.0
    while True:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            # Without us nobody would start it again, and its port would be taken when we come back.
            "setpriv", "--pdeathsig", "KILL", *program.command,
            env=os.environ | program.environment, cwd=folder, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), GRACE)
            except TimeoutError:
                process.kill()
            raise
        pause = 1.0 if time.monotonic() - began > SETTLED else min(pause * 2, LONGEST)
        _say(f"{program.name} has ended ({code}); starting it again in {pause:.0f} s.")
        await asyncio.sleep(pause)


async def _run(data: ClassData, file: Path) -> None:
    tasks = [asyncio.create_task(keep(one, data.folder)) for one in programs(data, file)]
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await end.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _say(line: str) -> None:
    sys.stderr.write(f"virtlab: {line}\n")
    sys.stderr.flush()


def main(file: str) -> int:
    try:
        asyncio.run(_run(class_data.read(file), Path(file).resolve()))
    except LabError as error:
        _say(f"{error.message} {error.do}")
        return int(error.exit)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
