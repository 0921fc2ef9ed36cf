"""What a learner does in JupyterLab, in one browser page: look, type, click; in one of the two languages."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from learner import ROOT, Learner
from playwright.sync_api import Locator, Page, expect

from virtlab import catalogue, release

GUIDE = "05-container-networks"
LAB = catalogue.load(GUIDE)
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"  # the tab that is in front
SHOWN = f"{PANEL} .jp-Notebook"
RAN = re.compile(r"\[\d+\]:")

WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "start": "Start here", "track": "Containers", "takes": "75 minutes · needs Docker",
        "menu": "File", "not started": "This lab is not started yet.", "start it": "Start the lab",
        "not yet": "not yet", "red": ("Expected", "Seen", "There is no container called", "Next"),
        "works": "1 of 6 tasks work", "now works": "Task 4 works now",
        "no more": "Task 4 does not work any more",
        "hint": "Give me a hint", "more": "One more hint", "hints": ("Hint 1 of 3", "Hint 2 of 3"),
        "topology": "Topology 05", "words": "The same in words", "gone": "Gone:",
        "commit": "I commit to this", "reveal": "I have run it: was it so?", "answer": "This is my answer",
        "yours": "your answer", "finished": "This lab is finished", "checks": "Checklist 05",
    },
    "zh": {
        "start": "从这里开始", "track": "容器", "takes": "约 75 分钟 · 需要 Docker",
        "menu": "文件", "not started": "这个实验还没有启动。", "start it": "启动实验",
        "not yet": "尚未完成", "red": ("应当", "实际", "没有名为", "下一步"),
        "works": "1/6 个任务已生效", "now works": "任务 4 已生效", "no more": "任务 4 不再有效",
        "hint": "给我一个提示", "more": "再给一个提示", "hints": ("提示 1/3", "提示 2/3"),
        "topology": "拓扑 05", "words": "用文字说明", "gone": "已消失：",
        "commit": "我的预测就是这个", "reveal": "我做完实验了：结果如何？", "answer": "这是我的答案",
        "yours": "你的答案", "finished": "实验已结束", "checks": "检查清单 05",
    },
}  # fmt: skip


class Desk:
    def __init__(self, page: Page, learner: Learner, language: str) -> None:
        self.page, self.learner, self.language = page, learner, language
        self.words = WORDS[language]
        where = "prefix" if learner.prefix != "/" else "root"
        self.shots = ROOT / f"build/screenshots/{where}-{language}"
        page.set_default_timeout(30_000)

    @property
    def checks(self) -> Locator:
        return self.page.locator(".vl-checks")

    @property
    def start(self) -> Locator:
        return self.page.locator(".vl-start")

    @property
    def row(self) -> Locator:
        """Lab 05 on the start page."""
        return self.start.locator(".vl-lab", has_text=LAB.title[self.language])

    @property
    def guide(self) -> Path:
        """The file that is open; another language's lies beside the first."""
        return release.guide_in(self.learner.workspace / GUIDE, self.language)

    def take(self, name: str) -> None:
        self.shots.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(400)  # what moves has come to rest
        self.page.screenshot(path=self.shots / f"{name}.png")

    def tab(self, name: str) -> Locator:
        return self.page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text=name)

    def tabs(self) -> list[str]:
        return sorted(self.tab("").all_inner_texts())

    def task(self, name: str) -> Locator:
        return self.checks.locator(f"li[data-task={name}]")

    def sees(self, task: str, state: str, seconds: float) -> None:
        expect(self.task(task)).to_have_attribute("data-state", state, timeout=seconds * 1000)

    def until(self, fact: Callable[[], bool], seconds: float = 15) -> None:
        """Wait for what Playwright's own `expect` cannot see."""
        end = time.monotonic() + seconds
        while not fact() and time.monotonic() < end:
            self.page.wait_for_timeout(200)
        assert fact()

    def is_idle(self) -> None:
        indicator = self.page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator")
        expect(indicator).to_have_attribute("data-status", "idle")

    # In the guide

    def code(self) -> list[str]:
        """The code cells of the guide as it was released."""
        cells = json.loads(self.guide.read_text())["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]

    def cell(self, number: int) -> Locator:
        return self.page.locator(f"{SHOWN} .jp-CodeCell").nth(number)

    def output(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-OutputArea")

    def run(self, number: int, seconds: int = 60) -> Locator:
        """Run the code cell of this number, counted from 0, and wait for its end; its output."""
        prompt = self.cell(number).locator(".jp-InputPrompt")
        prompt.scroll_into_view_if_needed()
        prompt.click()
        self.page.keyboard.press("Control+Enter")
        expect(prompt).to_have_text(RAN, timeout=seconds * 1000)  # [*] until then
        return self.output(number)

    # In the terminal

    def enter(self, line: str, seconds: int = 30) -> str:
        """Type a command in the lab's terminal and wait for its end; what the terminal shows then."""
        mark = time.monotonic_ns() % 10**8
        terminal = self.page.locator(".jp-Terminal")
        terminal.click()
        self.page.keyboard.type(f"clear; {line}; echo end-$(({mark} + 1))\n")
        screen = terminal.locator(".xterm-accessibility")
        expect(screen).to_contain_text(f"end-{mark + 1}", timeout=seconds * 1000)
        return screen.inner_text()
