// The table: a row a student, a column a lab, or a task when one lab is chosen.
import { el, handUp } from "./dom.js";
import { choose, say } from "./words.js";

export const state = {
  students: new Map(), labs: [], lab: "", find: "", show: "all", sort: "hand", down: false, late: 0,
};
const now = () => Date.now() / 1000 - state.late;   // by the board's clock

export function span(since) {
  if (!since) return "";
  const minutes = Math.floor((now() - since) / 60);
  if (minutes < 1) return say("now");
  return minutes < 60 ? say("{n} min", { n: minutes }) : say("{n} h {m} min", { n: Math.floor(minutes / 60), m: minutes % 60 });
}

const HERE = { active: "active", idle: "idle", away: "away", never: "never here" };
const short = (slug) => slug.slice(0, 2);
const isStuck = (one) => one.stuck && one.here === "active" && now() - one.stuck > 600;

const FILTERS = {
  all: () => true, hands: (one) => one.hand, active: (one) => one.here === "active", stuck: isStuck,
  away: (one) => one.here === "away" || one.here === "never",
};

function columns() {
  const lab = state.labs.find((one) => one.slug === state.lab);
  const fixed = [
    { id: "hand", name: say("hand"), key: (one) => one.hand || Infinity },
    { id: "student", name: say("student"), key: (one) => one.name.toLowerCase() },
    { id: "state", name: say("state"), key: (one) => ["active", "idle", "away", "never"].indexOf(one.here) },
    { id: "lab", name: say("lab"), key: (one) => one.lab || "zz" },
    { id: "stuck", name: say("no progress"), key: (one) => (one.here === "away" ? Infinity : one.stuck || Infinity) },
    { id: "hints", name: say("hints"), key: (one) => -one.hints },
  ];
  const open = lab
    ? lab.tasks.map((task, at) => ({
        id: `task ${task.id}`, name: String(at + 1), title: choose(task.title), cell: (one) => taskCell(one.labs[lab.slug], task),
        key: (one) => -[...(one.labs[lab.slug]?.tasks[task.id] || "")].filter((mark) => mark === "p").length,
      }))
    : state.labs.map((one) => ({
        id: `lab ${one.slug}`, name: short(one.slug), title: choose(one.title), cell: (student) => labCell(student.labs[one.slug]),
        key: (student) => -((student.labs[one.slug]?.passed || 0) / (student.labs[one.slug]?.total || 1)),
      }));
  return [...fixed, ...open];
}

function labCell(lab) {
  if (!lab) return el("td", { class: "step none" }, el("span", { "aria-hidden": "true" }, "·"), hidden(say("not started")));
  const part = lab.total ? lab.passed / lab.total : 0;
  const cell = el("td", { class: `step ${lab.done || part === 1 ? "full" : lab.phase === "started" ? "open" : "past"}` },
    el("span", { "aria-hidden": "true" }, lab.total ? `${lab.passed}/${lab.total}` : "…"),
    hidden(say("{n} of {m} checks passed", { n: lab.passed, m: lab.total }), lab.helped ? `, ${say("with help")}` : ""),
    lab.helped ? el("sup", { title: say("with help"), "aria-hidden": "true" }, "?") : null);
  cell.style.setProperty("--part", `${Math.round(part * 100)}%`);
  return cell;
}

export const MARKS = { p: ["✔", "passed"], f: ["✘", "failed"], u: ["?", "nobody can tell"], r: ["↺", "passed before"] };

function taskCell(lab, task) {
  const marks = [...(lab?.tasks[task.id] || "")];
  if (!marks.length) return el("td", { class: "step none" }, el("span", { "aria-hidden": "true" }, "·"), hidden(say("not started")));
  return el("td", { class: "marks" }, marks.map((mark) =>
    el("span", { class: mark, title: say(MARKS[mark][1]) }, el("span", { "aria-hidden": "true" }, MARKS[mark][0]), hidden(say(MARKS[mark][1]), " "))));
}

const hidden = (...text) => el("span", { class: "hidden" }, ...text);

function row(one, shown, act) {
  const more = [...one.busy.map((what) => say(what)), ...one.visitors.map((who) => say("visited by {who}", { who }))].join(", ");
  return el("tr", { "data-id": one.id, class: `${one.here}${one.hand ? " hand" : ""}${isStuck(one) ? " stuck" : ""}` },
    el("td", { class: "raised" }, one.hand
      ? el("button", { title: say("Lower hand"), "aria-label": `${say("hand up")} ${span(one.hand)}. ${say("Lower hand")}: ${one.name}`, on: { click: () => act.lower(one) } }, handUp(), " ", el("span", { "data-since": one.hand }, span(one.hand)))
      : null),
    el("th", { scope: "row" }, el("button", { class: "who", on: { click: () => act.details(one) } }, one.name),
      one.name.toLowerCase() === one.id ? null : el("span", { class: "id" }, one.id)),
    el("td", { class: "here" }, el("span", { class: "dot", "aria-hidden": "true" }), say(HERE[one.here]), more ? el("span", { class: "id" }, more) : null),
    el("td", { class: "lab" }, one.lab ? short(one.lab) : ""),
    el("td", { class: "since" }, el("span", { "data-since": one.stuck || "" }, span(one.stuck))),
    el("td", { class: "number" }, one.hints || ""),
    shown.filter((column) => column.cell).map((column) => column.cell(one)),
    el("td", { class: "acts" },
      el("a", { href: `open/students/${encodeURIComponent(one.id)}`, target: "_blank", rel: "noopener", "aria-label": `${say("Open")}: ${one.name}`, title: say("You are visiting: the student sees your name.") }, say("Open")),
      el("button", { "aria-label": `${say("Message")}: ${one.name}`, on: { click: () => act.write([one]) } }, say("Message"))));
}

export function shown() {
  const words = state.find.trim().toLowerCase();
  const found = [...state.students.values()].filter((one) =>
    FILTERS[state.show](one) && (!words || one.name.toLowerCase().includes(words) || one.id.includes(words)));
  const column = columns().find((one) => one.id === state.sort) || columns()[0];
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  found.sort((a, b) => (state.down ? -1 : 1) * order(column.key(a), column.key(b)) || order(a.name, b.name));
  return found;
}

// Draws all of it, or, given the students who changed, just their rows where the order stays.
export function draw(table, act, changed = null) {
  const every = columns(), list = shown();
  const body = table.tBodies[0], order = list.map((one) => one.id).join("\n");
  if (changed && body && body.dataset.order === order) {
    const rows = new Map([...body.rows].map((one) => [one.dataset.id, one]));
    for (const id of changed) {
      const old = rows.get(id);
      if (!old) continue;
      const focused = old.contains(document.activeElement) ? [...old.querySelectorAll("a, button")].indexOf(document.activeElement) : -1;
      const fresh = row(state.students.get(id), every, act);
      old.replaceWith(fresh);
      if (focused >= 0) fresh.querySelectorAll("a, button")[focused]?.focus();
    }
    return list;
  }
  const focused = document.activeElement?.closest?.("tr[data-id]")?.dataset.id;
  const heads = every.map((column) => {
    const is = column.id === state.sort;
    return el("th", { scope: "col", "aria-sort": is ? (state.down ? "descending" : "ascending") : null, class: column.cell ? "step" : column.id },
      el("button", { title: column.title || say("sort"), on: { click: () => act.sort(column.id) } }, column.name, column.title ? hidden(` ${column.title}`) : null,
        el("span", { class: "arrow", "aria-hidden": "true" }, is ? (state.down ? "▼" : "▲") : "")));
  });
  const rows = el("tbody", { "data-order": order }, list.map((one) => row(one, every, act)));
  table.replaceChildren(el("caption", { class: "hidden" }, say("Class board")),
    el("thead", {}, el("tr", {}, heads, el("th", { scope: "col" }, say("help")))), rows);
  if (focused) rows.querySelector(`tr[data-id="${CSS.escape(focused)}"] .who`)?.focus();
  return list;
}

export function tick(table) {
  table.querySelectorAll("[data-since]").forEach((one) => { one.textContent = span(Number(one.dataset.since)); });
}
