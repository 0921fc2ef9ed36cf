// One student in full, and writing to some.
import { ask } from "./api.js";
import { el } from "./dom.js";
import { MARKS, span, state } from "./table.js";
import { choose, say } from "./words.js";

function show(title, ...content) {
  const head = el("h2", { id: "dialog-title" }, title);
  const close = el("button", { class: "close", on: { click: () => dialog.close() } }, say("Close"));
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, head, ...content, close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function check(one, words) {
  const [mark, text] = MARKS[one.state === "fail" && one.first_passed ? "r" : one.state[0]];
  return el("li", { class: one.state }, el("span", { class: one.state[0], title: say(text) }, `${mark} `), el("span", { class: "hidden" }, `${say(text)}: `),
    words?.title || one.id, words?.message ? el("p", {}, words.message) : null);
}

function lab(slug, said) {
  const known = state.labs.find((one) => one.slug === slug);
  const words = new Map(said.said.map((one) => [one.id, one]));
  const tasks = Object.groupBy ? Object.groupBy(said.checks, (one) => one.task) : { "": said.checks };
  const hints = Object.values(said.hints).reduce((sum, one) => sum + one, 0);
  return el("section", {}, el("h3", {}, `${slug.slice(0, 2)} ${known ? choose(known.title) : slug}`, " ",
    el("small", {}, [said.completed ? say("done") : said.phase === "started" ? span(said.started) : "", hints ? say("{n} hints", { n: hints }) : "",
      said.helped.length ? say("with help") : ""].filter(Boolean).join(" · "))),
  Object.entries(tasks).map(([task, checks]) => {
    const title = known?.tasks.find((one) => one.id === task)?.title;
    return el("div", {}, title ? el("h4", {}, choose(title)) : null, el("ul", {}, checks.map((one) => check(one, words.get(one.id)))));
  }));
}

export async function details(id, act) {
  const one = await ask(`api/students/${encodeURIComponent(id)}`);
  const labs = Object.entries(one.details).sort(([, a], [, b]) => (b.started || 0) - (a.started || 0));
  show(one.name,
    el("p", { class: "row" }, el("a", { class: "strong", href: `open/students/${encodeURIComponent(id)}`, target: "_blank", rel: "noopener" }, say("Open")),
      el("button", { on: { click: () => act.write([one]) } }, say("Message")),
      one.hand ? el("button", { on: { click: (event) => { act.lower(one); event.target.remove(); } } }, say("Lower hand")) : null),
    labs.length ? labs.map(([slug, said]) => lab(slug, said)) : el("p", {}, say("Nothing yet: no lab was started.")),
    one.messages.length ? el("section", {}, el("h3", {}, say("Messages")), el("ul", { class: "messages" }, one.messages.map((said) =>
      el("li", {}, said.text, el("small", {}, ` ${said.from}, ${new Date(said.at * 1000).toLocaleTimeString()}, ${said.read ? say("read") : say("not read yet")}`))))) : null);
}

export function write(students) {
  if (!students.length) return;
  const text = el("textarea", { id: "message", rows: 4, maxlength: 2000, required: true, "aria-describedby": "message-note" });
  const problem = el("p", { class: "trouble", role: "alert", hidden: true });
  const title = students.length === 1 ? say("Message to {who}", { who: students[0].name }) : say("Message to {n} students", { n: students.length });
  const form = el("form", {}, el("label", { for: "message", class: "hidden" }, title), text,
    el("p", { id: "message-note", class: "note" }, say("In their JupyterLab it appears at once.")), problem, el("button", { class: "strong" }, say("Send")));
  const dialog = show(title, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await ask("api/messages", { to: students.map((one) => one.id), text: text.value });
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
  });
  text.focus();
}
