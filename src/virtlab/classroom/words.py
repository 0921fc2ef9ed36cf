"""What the class's pages say: in both languages at once, of which templates/language.html shows one."""

from __future__ import annotations

import re
from typing import Any

CHINESE = {
    # log in
    "Log in": "登录",
    "Name": "账号",
    "Password": "密码",
    "Show": "显示",
    "Your name and password are on your card. No card? Ask your instructor.":
        "账号和密码印在你的卡片上。没有卡片？请找老师。",
    "Name or password is not right. Mind letters and dashes, or ask your instructor for a new card.":
        "账号或密码不对。请核对字母和连字符，或者向老师要一张新卡片。",
    "Too many wrong passwords. Wait {seconds} seconds, then try again.":
        "密码错误次数太多。请等 {seconds} 秒再试。",
    "This form has grown too old. Try again.": "表单已过期，请再试一次。",
    "Log in with {service}": "用 {service} 登录",
    # once
    "Welcome, {who}": "你好，{who}",
    "This link logs you in once. Next time use your name and password.":
        "这个链接只能登录一次。下次请用账号和密码。",
    "It opens the machine that is yours in this class.": "登录后会打开你在本课程中的专用机器。",
    "This link has been used, or is not right": "链接已用过，或者不正确",
    "Each link works once. Use the name and password on your card, or ask your instructor for a new card.":
        "每个链接只能用一次。请用卡片上的账号和密码登录，或者向老师要一张新卡片。",
    "Log in with name and password": "用账号和密码登录",
    # password
    "Change password": "修改密码",
    "Password now": "当前密码",
    "New password": "新密码",
    "New password again": "再输一次新密码",
    "Eight characters or more. A few words are easy to remember and hard to guess.":
        "至少八个字符。几个词连在一起，好记又难猜。",
    "The password now is not right.": "当前密码不对。",
    "The two new passwords differ.": "两次输入的新密码不一样。",
    "The new password is too short.": "新密码太短。",
    "The new password is too long.": "新密码太长。",
    "The new password is your name.": "新密码不能与账号相同。",
    "Your password is changed.": "密码已修改。",
    "Back to my machine": "回到我的机器",
    # home and waiting
    "My machine": "我的机器",
    "Open my machine": "打开我的机器",
    "Start my machine": "启动我的机器",
    "Stop my machine": "停止我的机器",
    "Your files stay when it stops.": "停止后你的文件仍然保留。",
    "The class": "课堂",
    "Log out": "退出",
    "Your machine is getting ready": "正在准备你的机器",
    "This page opens it by itself.": "准备好后会自动打开。",
    "Your machine did not start": "机器没有启动",
    "Try again": "再试一次",
    "What happened so far": "目前的进展",
    "Dark or light": "深色或浅色",
    "Language": "语言",
}


def both(phrase: str, **values: Any) -> Any:
    """A phrase in both languages, as HTML of which one is shown."""
    from markupsafe import Markup

    english = Markup.escape(phrase.format(**values) if values else phrase)
    if (chinese := CHINESE.get(phrase)) is None:
        return english
    chinese = Markup.escape(chinese.format(**values) if values else chinese)
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(english, chinese)


WRONG = "Name or password is not right. Mind letters and dashes, or ask your instructor for a new card."
HUBS_OWN = {
    "Invalid username or password": WRONG,
    "Login form invalid or expired. Try again.": "This form has grown too old. Try again.",
}


def told(error: str) -> Any:
    """What the hub says of a failed login, in both languages."""
    phrase = HUBS_OWN.get(error, error)
    seconds = re.search(r"\d+", phrase)
    return both(re.sub(r"\d+", "{seconds}", phrase, count=1), seconds=seconds[0]) if seconds else both(phrase)
