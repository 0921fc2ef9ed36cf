"""What students are given on paper: a page with one card each, and the same as CSV. Both hold passwords."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from virtlab.classroom import tables
from virtlab.classroom.class_data import ClassData, Student
from virtlab.errors import UsageError
from virtlab.language import choose

WORDS = {
    "open": {"en": "Open in a browser", "zh": "用浏览器打开"},
    "name": {"en": "Name", "zh": "账号"},
    "password": {"en": "Password", "zh": "密码"},
    "own": {"en": "the one you have chosen", "zh": "你自己设的密码"},
    "school": {"en": "that of your school's account", "zh": "学校账号的密码"},
    "look": {"en": "Scan to open", "zh": "扫码打开"},
    "scan": {"en": "Scan to log in, once", "zh": "扫码登录，仅一次"},
    "secret": {
        "en": "Yours alone. Change the password when you are in.",
        "zh": "仅供本人使用；登录后请修改密码。",
    },
    "instructor": {"en": "instructor", "zh": "教师"},
}
# Two columns and four rows on a page of A4; nothing is fetched.
STYLE = """
@page{size:A4;margin:10mm}
*{box-sizing:border-box}
body{font:10pt/1.3 system-ui,"Noto Sans","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
body{margin:0;color:#000;background:#fff}
.note{max-width:190mm;margin:8mm auto 4mm;padding:0 2mm}
main{display:grid;grid-template-columns:repeat(2,95mm);width:190mm;margin:auto}
.card{height:69mm;padding:4.5mm;outline:.2mm dashed #888;overflow:hidden;break-inside:avoid}
.card{display:flex;flex-direction:column}
h2{font-size:13pt;line-height:1.2;margin:0;flex:none;overflow:hidden;overflow-wrap:anywhere}
h2{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2}
.class{margin:0 0 1.5mm;flex:none;font-size:8pt;color:#444}
.class{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.facts{display:flex;gap:3mm;flex:1;min-height:0;margin-top:1mm}
.left{flex:1;min-width:0;display:flex;flex-direction:column}
dl{margin:0;flex:none}
dt{font-size:7.5pt;line-height:1.2;color:#444}
dd{margin:0 0 1mm;font:600 10.5pt/1.2 ui-monospace,"DejaVu Sans Mono",Consolas,Menlo,monospace}
dd{overflow-wrap:anywhere}
dd.address{font-size:9.5pt}
dd.own{font:italic 9pt/1.2 system-ui,"Noto Sans CJK SC",sans-serif}
figure{margin:0;width:27mm;flex:none;text-align:center}
figure svg{width:27mm;height:27mm;display:block}
figcaption{font-size:7pt;line-height:1.2;color:#444}
.secret{margin:auto 0 0;font-size:7pt;line-height:1.2;color:#444}
@media print{.note{display:none}}
"""


@dataclass(frozen=True)
class Card:
    id: str
    name: str
    email: str
    address: str
    password: str  # empty: the student has chosen another, or the school has it
    link: str  # logs in once; empty when the school's accounts are used
    is_instructor: bool = False


def cards(data: ClassData, only: Iterable[str] = ()) -> list[Card]:
    """Instructors first, then the roster; `only` these ids."""
    wanted = set(only)
    people = [(Student(one), True) for one in data.instructors] + [(one, False) for one in data.students]
    if unknown := sorted(wanted - {one.id for one, _ in people}):
        raise UsageError(f"Nobody in this class is called {', '.join(unknown)}.", do="Look at the roster.")
    has_own = not data.authenticator_class
    accounts = data.accounts
    made = []
    for one, is_instructor in people:
        if not wanted or one.id in wanted:
            password = (accounts.first_password(one.id) or "") if has_own else ""
            link = data.link(one.id) if has_own else ""
            made.append(Card(one.id, one.name or one.id, one.email, data.url, password, link, is_instructor))
    return made


def page(data: ClassData, every: Iterable[Card]) -> str:
    """One HTML page with nothing outside of it, in the class's languages."""
    title = _safe(_both(data.title, data.languages))
    body = "".join(_card(one, title, data.languages) for one in every)
    language = "zh-CN" if data.languages[0] == "zh" else "en"
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n"
        f"{_note(data.languages)}<main>\n{body}</main>\n</body>\n</html>\n"
    )


NOTE = {
    "en": "Print this page (A4, without headers and footers) and cut along the dashed lines. It holds "
    "passwords: delete the file when the cards are handed out. It can be made again at any time.",
    "zh": "请打印本页（A4，不带页眉页脚），沿虚线裁开。页面里有密码：发完卡片后请删除文件，"
    "需要时可随时重新生成。",
}


def _note(languages: Iterable[str]) -> str:
    return "".join(f'<p class="note">{_safe(choose(NOTE, one))}</p>\n' for one in languages)


def _card(one: Card, title: str, languages: tuple[str, ...]) -> str:
    def said(key: str) -> str:
        return _safe(_both(WORDS[key], languages))

    def lines(key: str) -> str:
        return "<br>".join(_safe(choose(WORDS[key], language)) for language in languages)

    role = f"{said('instructor')} · " if one.is_instructor else ""
    address = _safe(one.address).replace(".", ".<wbr>")
    other = lines("own" if one.link else "school")
    password = f"<dd>{_safe(one.password)}</dd>" if one.password else f'<dd class="own">{other}</dd>'
    scan = lines("scan" if one.link else "look")
    return (
        f'<section class="card"><h2>{_safe(one.name)}</h2><p class="class">{role}{title}</p>\n'
        f'<dl><dt>{said("open")}</dt><dd class="address">{address}</dd></dl>\n'
        f'<div class="facts"><div class="left"><dl><dt>{said("name")}</dt><dd>{_safe(one.id)}</dd>'
        f'<dt>{said("password")}</dt>{password}</dl><p class="secret">{lines("secret")}</p></div>\n'
        f"<figure>{_qr(one.link or one.address)}<figcaption>{scan}</figcaption></figure></div></section>\n"
    )


def _qr(link: str) -> str:
    import segno

    code = segno.make(link, error="m", micro=False)
    drawing: str = code.svg_inline(border=2, omitsize=True, svgclass=None, lineclass=None)
    return drawing


def csv(every: Iterable[Card]) -> str:
    """For a mail merge."""
    rows = [[one.id, one.name, one.email, one.address, one.password, one.link] for one in every]
    return tables.write(["id", "name", "e-mail", "address", "password", "link"], rows)


def without_password(every: Iterable[Card]) -> Iterator[str]:
    return (one.id for one in every if not one.password)


def _both(text: Mapping[str, str], languages: Iterable[str]) -> str:
    """In each of the class's languages, once when they do not differ."""
    return " · ".join(dict.fromkeys(choose(text, language) for language in languages))


def _safe(words: str) -> str:
    return html.escape(words)
