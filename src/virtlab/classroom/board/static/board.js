// The class's board: draws what came with the page, then waits for news.
import { about, ask, read } from "./api.js";
import { details, write } from "./dialogs.js";
import { el } from "./dom.js";
import { draw, shown, state, tick } from "./table.js";
import { choose, language, otherLanguage, say, startLanguage } from "./words.js";

let version = 0;

const table = el("table");
const news = el("p", { class: "hidden", "aria-live": "polite" });
const counts = el("p", { class: "counts" });
const trouble = el("p", { class: "trouble", role: "alert", hidden: true });
const nobody = el("p", { class: "nobody", hidden: true });

const act = {
  details: (one) => details(one.id, act),
  write: (students) => write(students),
  lower: (one) => ask(`api/students/${encodeURIComponent(one.id)}/lower`, {}),
  sort: (id) => {
    state.down = state.sort === id && !state.down;
    state.sort = id;
    redraw();
    news.textContent = say("Sorted by {column}", { column: say(id) });
    table.querySelector("[aria-sort] button")?.focus();
  },
};

function take(said) {
  const before = state.students, changed = new Set();
  version = said.version;
  state.late = Date.now() / 1000 - said.now;
  if (said.labs.length) state.labs = said.labs;
  for (const one of said.students) {
    if (one.hand && before.size && !before.get(one.id)?.hand) news.textContent = say("{who} raised a hand", { who: one.name });
    state.students.set(one.id, one);
    changed.add(one.id);
  }
  for (const [id, here] of Object.entries(said.here)) {
    const one = state.students.get(id);
    if (one && one.here !== here) { one.here = here; changed.add(id); }
  }
  return changed;
}

function redraw(changed = null) {
  const every = [...state.students.values()], list = draw(table, act, changed);
  const hands = every.filter((one) => one.hand).length;
  counts.textContent = [
    say("{n} of {m} active", { n: every.filter((one) => one.here === "active").length, m: every.length }),
    say("{n} hands up", { n: hands }), say("{n} shown", { n: list.length }),
  ].join(" · ");
  nobody.textContent = say("Nobody is shown. Change the search or the filter.");
  nobody.hidden = list.length > 0;
  document.title = `${hands ? `(${hands}) ` : ""}${choose(about.title)}`;
}

function option(value, text, chosen) {
  return el("option", { value, selected: value === chosen }, text);
}

function frame() {
  const set = (name) => (event) => { state[name] = event.target.value; redraw(); };
  const filters = { all: "everybody", hands: "hands up", active: "active", stuck: "stuck for 10 minutes", away: "away" };
  document.body.replaceChildren(
    el("header", {},
      el("h1", {}, say("Class board"), " ", el("small", {}, choose(about.title))),
      el("nav", {}, el("a", { href: "/hub/spawn" }, say("My machine")), el("a", { href: "/hub/logout" }, say("Log out")),
        about.languages.length > 1 && el("button", { lang: language() === "zh" ? "en" : "zh", on: { click: () => { otherLanguage(); frame(); } } }, language() === "zh" ? "English" : "中文"))),
    el("main", {},
      el("div", { class: "tools" },
        el("label", {}, say("Find a student"), el("input", { type: "search", id: "find", value: state.find, on: { input: set("find") } })),
        el("label", {}, say("Show"), el("select", { on: { change: set("show") } }, Object.entries(filters).map(([id, text]) => option(id, say(text), state.show)))),
        el("label", {}, say("Labs"), el("select", { id: "labs", on: { change: set("lab") } }, option("", say("all labs"), state.lab),
          state.labs.map((one) => option(one.slug, `${one.slug.slice(0, 2)} ${choose(one.title)}`, state.lab)))),
        el("button", { on: { click: () => write(shown()) } }, say("Message to those shown")),
        el("a", { href: "api/class.csv", download: "class.csv" }, say("Table (CSV)"))),
      counts, trouble, el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": say("Class board") }, table), nobody, news,
      el("p", { class: "keys" }, say("Keys: / finds, ↑ ↓ move, o opens, m writes, Enter shows more"))));
  redraw();
}

function keys(event) {
  if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const here = document.activeElement?.closest?.("tr[data-id]");
  const one = here && state.students.get(here.dataset.id);
  const rows = [...(table.tBodies[0]?.rows || [])];
  const moves = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key === "/") document.getElementById("find").focus();
  else if (event.key in moves && rows.length && (here || !event.target.closest(".scroll"))) {
    const at = here ? rows.indexOf(here) + moves[event.key] : 0;
    rows[Math.max(0, Math.min(rows.length - 1, at))].querySelector(".who").focus();
  } else if (event.key === "o" && here) here.querySelector("a").click();
  else if (event.key === "m" && one) write([one]);
  else return;
  event.preventDefault();
}

async function follow() {
  for (;;) {
    try {
      const said = await ask(`api/class?since=${version}`);
      const labs = state.labs.length;
      const changed = take(said);
      if (state.labs.length !== labs) frame(); else if (changed.size) redraw(changed);
      trouble.hidden = true;
    } catch {
      trouble.textContent = say("The board does not answer. Trying again …");
      trouble.hidden = false;
      await new Promise((done) => setTimeout(done, 3000));
    }
  }
}

startLanguage(about.languages);
take(read("first"));
frame();
document.addEventListener("keydown", keys);
setInterval(() => tick(table), 10000);
performance.mark("board-drawn");
follow();
