"""What students are told while their machine starts: in both languages, of which the page shows one."""

from __future__ import annotations

from html import escape
from typing import Any

AWAY = "The computer your machine is on ({host}) does not answer. Try again soon: your files are there."
AGAIN = "Start on another computer from the snapshot of {when}"
EMPTY = "Start on another computer with an empty machine"
BEHIND = "What was done since then stays behind until {host} is back."
FULL = "All places are taken, and none came free within {minutes} minutes. Try again, or ask your instructor."
FAILED = "Your machine did not start. Try again; if it happens twice, show this to your instructor: {why}"

CHINESE = {
    "looking for a place": "正在寻找空位",
    "you are number {place} in the queue: this page goes on by itself":
        "你排在第 {place} 位：本页面会自动继续",
    "your machine is warm already": "你的虚拟机已经预热好了",
    "restoring your machine": "正在恢复你的虚拟机",
    "restoring did not work, so your machine boots": "恢复没有成功，改为重新开机",
    "booting your machine: this takes longer than restoring one": "正在启动你的虚拟机：比恢复慢一些",
    "fetching your files from the snapshot of {when}": "正在从 {when} 的快照取回你的文件",
    "telling your machine whose it is": "正在为你的虚拟机设置身份",
    "waiting for JupyterLab": "正在等待 JupyterLab",
    AWAY: "你的虚拟机所在的主机（{host}）没有响应。请等一分钟再试：你的文件在那台主机上。",
    AGAIN: "用 {when} 的快照在另一台主机上启动",
    EMPTY: "在另一台主机上用一台全新的虚拟机启动",
    BEHIND: "在 {host} 恢复之前，此后所做的内容暂时无法取回。",
    FULL: "所有位置都已占满，{minutes} 分钟内没有空出。请重试，或询问老师。",
    FAILED: "你的虚拟机没有启动成功。请重试；如果再次失败，请把这段话给老师看：{why}",
}  # fmt: skip


def english(phrase: str, **values: Any) -> str:
    return phrase.format(**values) if values else phrase


def html(phrase: str, **values: Any) -> str:
    first = f'<span lang="en">{escape(english(phrase, **values))}</span>'
    if (chinese := CHINESE.get(phrase)) is None:
        return first
    return f'{first}<span lang="zh">{escape(english(chinese, **values))}</span>'
