// What the board says. English is the key; `say` answers in the reader's language.
const CHINESE = {
  "Class board": "课堂看板", "Find a student": "查找学生", "Show": "显示", "everybody": "所有人", "hands up": "举手的",
  "active": "在做实验", "idle": "闲置", "away": "离线", "never here": "没来过", "stuck for 10 minutes": "卡住超过 10 分钟",
  "Labs": "实验", "all labs": "所有实验", "Message to those shown": "发消息给列表中的人", "Table (CSV)": "表格 (CSV)",
  "hand": "举手", "student": "学生", "state": "状态", "lab": "当前实验", "no progress": "无进展", "hints": "提示",
  "help": "帮助", "Open": "打开", "Message": "消息", "Lower hand": "放下手", "done": "完成",
  "{n} of {m} active": "{m} 人中 {n} 人在做", "{n} hands up": "{n} 人举手", "{n} shown": "显示 {n} 人",
  "{n} min": "{n} 分钟", "{n} h {m} min": "{n} 小时 {m} 分", "now": "刚刚", "since {t}": "{t}",
  "{n} of {m} checks passed": "{m} 项检查通过 {n} 项", "not started": "未开始", "with help": "有代做",
  "{who} raised a hand": "{who} 举手了", "Sorted by {column}": "按{column}排序",
  "passed": "通过", "failed": "未通过", "nobody can tell": "无法判断", "passed before": "之前通过过",
  "The board does not answer. Trying again …": "看板没有响应，正在重试……", "Close": "关闭", "Send": "发送",
  "Message to {who}": "给 {who} 的消息", "Message to {n} students": "给 {n} 名学生的消息", "sent": "已发送", "read": "已读",
  "not read yet": "未读", "{n} hints": "{n} 条提示", "Nothing yet: no lab was started.": "还没有内容：没有启动过实验。",
  "Nobody is shown. Change the search or the filter.": "没有匹配的学生。请修改查找或筛选条件。",
  "You are visiting: the student sees your name.": "你打开时，学生会看到你的名字。", "kernel": "单元格运行中",
  "terminal": "终端运行中", "download": "下载中", "check": "检查中", "visited by {who}": "{who} 正在查看",
  "In their JupyterLab it appears at once.": "会立刻显示在学生的 JupyterLab 里。",
  "Keys: / finds, ↑ ↓ move, o opens, m writes, Enter shows more": "按键：/ 查找，↑ ↓ 移动，o 打开，m 写消息，Enter 查看详情",
  "hand up": "举手中", "Messages": "消息", "Log out": "退出", "My machine": "我的机器", "sort": "排序",
};

export const language = () => document.documentElement.lang;

export function say(phrase, values = {}) {
  const text = (language() === "zh" && CHINESE[phrase]) || phrase;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export const choose = (texts) => (texts[language()] || texts.en).replaceAll("`", "");

export function startLanguage(spoken) {
  const wanted = localStorage.getItem("virtlab-language") || navigator.language.slice(0, 2);
  document.documentElement.lang = spoken.includes(wanted) ? wanted : spoken[0];
}

export function otherLanguage() {
  const next = language() === "zh" ? "en" : "zh";
  localStorage.setItem("virtlab-language", next);
  document.documentElement.lang = next;
}
