// The live checklist of one lab: what works, what was seen where it does not, and what to do next.
import { bar, el, mark, rich } from './dom.js';
import { Following } from './follow.js';
import { say, words } from './words.js';
import { LabError, ask } from './server.js';

export class Checklist extends Following {
  /** `go`: what leads elsewhere: `open(lab)`, `task(lab, task)` in the guide, `topology(lab)`. */
  constructor(slug, news, go) {
    super('vl-checks', slug, news);
    this.id = `virtlab-checks-${slug}`;
    this.title.label = words().checks(this.number);
    this.go = go;
    this.grade = null;
    this.busy = false;
    this.hints = new Map(); // task: what was given
    this.open = new Map(); // task: unfolded by the learner, or not
    this.draw();
  }

  heard(told) {
    if (told.tasks && told.phase !== 'started') this.grade = null;
    if (!told.grade) return;
    this.announce(told.grade);
    this.grade = told.grade;
    this.error = null;
  }

  of(task, grade = this.grade) {
    return grade ? grade.results.filter((one) => one.task === task) : [];
  }

  state(task, grade = this.grade) {
    const states = this.of(task, grade).map((one) => one.state);
    if (!states.length) return 'waiting';
    return ['unknown', 'fail'].find((one) => states.includes(one)) || 'pass';
  }

  /** What has changed, for who does not see it. */
  announce(grade) {
    if (!this.grade) return;
    const said = this.stands.tasks.flatMap((task, index) => {
      const [before, now] = [this.state(task.id), this.state(task.id, grade)];
      if (before === now) return [];
      const sentence = now === 'pass' ? words().nowWorks : now === 'unknown' ? words().cannotTell : words().noMore;
      return now === 'fail' && before !== 'pass' ? [] : [sentence(index + 1, say(task.title))];
    });
    if (!said.length) return;
    const done = this.stands.tasks.filter((task) => this.state(task.id, grade) === 'pass').length;
    this.voice.textContent = `${said.join('. ')}. ${words().works(done, this.stands.tasks.length)}.`;
  }

  render() {
    this.node.setAttribute('aria-label', words().checksOf(say(this.stands.title)));
    this.body.replaceChildren(...this.content());
  }

  content() {
    const { phase, tasks, summary } = this.stands;
    const notes = this.notes();
    if (phase && phase !== 'started')
      return [this.head(0), ...notes, this.beginning(phase), summary ? this.summary(summary) : ''];
    const done = tasks.filter((task) => this.state(task.id) === 'pass').length;
    const first = tasks.find((task) => !['pass', 'waiting'].includes(this.state(task.id)));
    const all = tasks.length > 0 && done === tasks.length;
    return [
      this.head(done), ...notes,
      all ? this.done(this.grade.summary) : '',
      all ? el('h3', {}, words().built) : '',
      el('ol.vl-tasks', {}, tasks.map((task, index) => this.task(task, index, task === first))),
    ];
  }

  /** Everything works; the tasks below are what was built. */
  done(summary) {
    return el('div.vl-all', {},
      el('p', {}, mark('pass'), el('b', {}, words().all)),
      summary ? this.summary(summary) : '',
      el('p', {}, rich(words().finish(this.number))));
  }

  /** What was learned, what it took, and what comes next. */
  summary({ learned, seconds, hints, helped, right, answered, next, next_title: title }) {
    const names = this.stands.tasks.flatMap((task, index) => (helped.includes(task.id) ? [index + 1] : []));
    return el('div.vl-summary', {},
      learned.length ? [el('h3', {}, words().learned), el('ul', {}, learned.map((one) => el('li', {}, rich(say(one)))))] : '',
      el('p', {}, rich([
        words().took(seconds), hints ? words().hints(hints) : '', names.length ? words().helped(names) : '',
        hints || names.length ? '' : words().alone, answered ? words().answers(right, answered) : '',
      ].filter(Boolean).join(' '))),
      next ? el('p', {}, el('b', {}, `${words().nextLab} `), el('button.vl-link', {
        type: 'button', 'data-key': 'next', onclick: () => this.go.open(next),
      }, `${next.slice(0, 2)} · ${say(title)}`)) : '');
  }

  head(done) {
    const of = this.stands.tasks.length;
    const live = this.grade && !this.paused && !this.lost;
    return el('header', {},
      el('div.vl-sum', {}, bar(done, of), el('b', {}, words().works(done, of))),
      live ? el('span.vl-quiet.vl-live', {}, words().following) : '',
      live ? el('button.vl-link', { type: 'button', 'data-key': 'topology', onclick: () => this.go.topology(this.slug) }, words().showTopology) : '');
  }

  task(task, index, isFirst) {
    const state = this.state(task.id);
    const details = el('details', {
      open: this.open.has(task.id) ? this.open.get(task.id) : isFirst,
      ontoggle: (event) => {
        if (event.target.open !== shown) this.open.set(task.id, event.target.open);
      },
    },
    el('summary', { 'data-key': task.id },
      mark(state), el('span.vl-what', {}, `${index + 1}. `, rich(say(task.title))),
      el('span.vl-word', {}, words().states[state])),
    el('div.vl-more', {}, this.of(task.id).map((one) => this.check(one)), state === 'pass' ? '' : this.help(task)));
    const shown = details.open;
    return el(`li.vl-is-${state}`, { 'data-task': task.id, 'data-state': state }, details);
  }

  check(one) {
    const row = (name, text) => (text ? [el('dt', {}, name), el('dd', {}, rich(text))] : []);
    const said = one.state === 'pass'
      ? row(words().seen, one.message)
      : [...row(words().expected, say(one.title)), ...row(words().seen, one.message), ...row(words().next, one.do || (one.state === 'fail' ? one.hint : ''))];
    return el('div.vl-check', {}, mark(one.state), el('dl', { 'aria-label': words().states[one.state] }, said));
  }

  help(task) {
    const given = this.hints.get(task.id);
    const more = task.hints && !(given && given.number >= given.of);
    return [
      given ? el('p.vl-hint', {}, el('b', {}, `${words().hintOf(given.number, given.of)}: `), rich(say(given.hint))) : '',
      given && !more ? el('p.vl-quiet', {}, rich(words().last(task.id, this.number))) : '',
      more ? el('button.vl-button', { type: 'button', 'data-key': `hint-${task.id}`, onclick: () => this.hint(task) }, given ? words().another : words().hint) : '',
      el('button.vl-button.vl-bare', { type: 'button', 'data-key': `go-${task.id}`, onclick: () => this.go.task(this.slug, task.id) }, words().inGuide),
    ];
  }

  async hint(task) {
    this.open.set(task.id, true);
    await this.do(async () => this.hints.set(task.id, await ask(`labs/${this.slug}/hint`, { task: task.id }, 0)));
    const given = this.hints.get(task.id);
    if (given) this.voice.textContent = `${words().hintOf(given.number, given.of)}: ${say(given.hint)}`;
  }

  beginning(phase) {
    if (phase === 'finishing' && !this.stands.busy)
      return el('div.vl-begin', {}, el('p', {}, words().finishing), el('p', {}, rich(words().finishIt(this.number))));
    const busy = this.busy || this.stands.busy;
    const before = busy ? '' : { new: words().notStarted, starting: words().half, finished: words().finished }[phase];
    const label = busy ? (phase === 'finishing' ? words().clearing : words().starting) : phase === 'finished' ? words().again : words().startIt;
    return el('div.vl-begin', {}, el('p', {}, before),
      phase === 'new' ? el('p.vl-quiet', {}, words().startsWhat) : '',
      el('button.vl-button.vl-strong', { type: 'button', 'data-key': 'start', disabled: busy, onclick: () => this.start() }, label),
      busy ? el('progress', { 'aria-label': label }) : '');
  }

  async start() {
    this.busy = true;
    this.voice.textContent = words().starting;
    await this.do(async () => {
      try {
        await ask(`labs/${this.slug}/start`, {}, 0);
      } catch (error) {
        if (error instanceof LabError) throw error; // else the answer got lost; the server tells how it went
      }
    });
  }

  async do(what) {
    this.error = null;
    this.draw();
    try {
      await what();
    } catch (error) {
      this.error = error;
    }
    this.busy = false;
    this.draw();
  }
}
