// The start page: the catalogue by track, how far the learner is, and where to go on.
import { Widget } from './jupyter.js';
import { bar, el, mark, rich, trouble } from './dom.js';
import { PAGES, visit } from './pages.js';
import { say, speak, words } from './words.js';
import { LabError, ask } from './server.js';

const SHAPE = { new: 'waiting', begun: 'begun', done: 'pass', blocked: 'blocked', broken: 'blocked' };

export class StartHere extends Widget {
  constructor(news, open) {
    super({ node: el('main.vl-start', { tabindex: '-1' }) });
    this.id = 'virtlab-start-here';
    this.open = open;
    this.news = news;
    this.said = '';
    this.node.append(el('p.vl-quiet', {}, words().loading));
    this.unhear = news.hear((told) => {
      if (told.labs) this.draw(told.labs);
      if (told.connected) this.refresh();
    });
    this.refresh();
  }

  dispose() {
    if (!this.isDisposed) this.unhear();
    super.dispose();
  }

  onAfterShow() {
    this.news.send({ labs: true });
  }

  onActivateRequest() {
    this.node.focus();
  }

  async refresh() {
    try {
      this.draw(await ask('labs'));
    } catch (error) {
      this.draw({ error });
    }
  }

  draw(told) {
    if (this.isDisposed || JSON.stringify(told) === this.said) return;
    const focused = this.node.contains(document.activeElement) && document.activeElement.dataset.lab;
    const opened = new Set([...this.node.querySelectorAll('details[open]')].map((one) => one.dataset.key));
    this.said = JSON.stringify(told);
    speak(told.language);
    this.title.label = words().start;
    this.node.setAttribute('aria-label', words().start);
    const head = el('header', {}, el('h1', {}, words().start), el('p', {}, words().welcome));
    if (told.error) {
      const error = told.error instanceof Error ? told.error : new LabError(told.error);
      this.node.replaceChildren(head, trouble(error, words()));
      return;
    }
    const tracks = [...new Set(told.labs.map((lab) => lab.track || ''))];
    this.node.replaceChildren(
      head,
      this.continue(told),
      ...tracks.map((track) => this.track(track, told.labs.filter((lab) => (lab.track || '') === track))),
      told.labs.length ? how() : el('p', {}, words().empty),
      this.sites(),
    );
    for (const one of this.node.querySelectorAll('details')) one.open = opened.has(one.dataset.key);
    if (focused) this.node.querySelector(`[data-lab="${focused}"]`)?.focus();
  }

  continue(told) {
    const lab = told.labs.find((one) => one.lab === told.continue);
    if (!lab) return '';
    const begun = lab.stands === 'begun';
    const task = begun ? lab.tasks.map((one) => one.id).find((id) => !lab.solved.includes(id)) : '';
    return el('button.vl-continue', { type: 'button', 'data-lab': 'continue', onclick: () => this.open(lab.lab, task) },
      el('span.vl-eyebrow', {}, begun ? words().goOn : words().begin),
      el('span.vl-goal', {}, `${lab.lab.slice(0, 2)} · ${say(lab.title)}`),
      begun ? progress(lab) : el('span.vl-quiet', {}, say(lab.summary)));
  }

  track(track, labs) {
    const id = `vl-track-${track || 'none'}`;
    return el('section', { 'aria-labelledby': id },
      el('h2', { id }, words().tracks[track] || track || words().stands.broken),
      el('ul.vl-labs', {}, labs.map((lab) => this.row(lab))));
  }

  sites() {
    return el('section', { 'aria-labelledby': 'vl-sites' }, el('h2', { id: 'vl-sites' }, words().sites),
      el('p.vl-sites', {}, Object.keys(PAGES).map((page) =>
        el('button.vl-button', { type: 'button', 'data-lab': page, onclick: () => visit(page) }, words().pages[page]))));
  }

  row(lab) {
    const number = lab.lab.slice(0, 2);
    const title = say(lab.title) || lab.lab;
    const name = lab.error
      ? el('h3', {}, title)
      : el('h3', {}, el('button.vl-link', {
          type: 'button', 'data-lab': lab.lab, 'aria-label': words().openLab(title), onclick: () => this.open(lab.lab),
        }, title));
    return el(`li.vl-lab.vl-is-${lab.stands}`, {},
      el('span.vl-number', { 'aria-hidden': 'true' }, number),
      el('div.vl-about', {}, name,
        el('p', {}, lab.error ? rich(lab.error) : say(lab.summary)),
        lab.error ? '' : el('p.vl-quiet', {}, `${words().minutes(lab.minutes)} · ${words().needs} ${needs(lab.needs)}`),
        reasons(lab)),
      el('div.vl-state', {},
        el('span.vl-badge', {}, mark(SHAPE[lab.stands]), words().stands[lab.stands]),
        lab.stands === 'begun' || (lab.solved && lab.solved.length) ? progress(lab) : '',
        lab.stands === 'done' && lab.phase === 'started' ? el('span.vl-quiet', {}, words().running) : ''));
  }
}

function progress(lab) {
  const [done, of] = [lab.solved.length, lab.tasks.length];
  return el('span.vl-progress', {}, bar(done, of), el('span.vl-quiet', {}, words().tasks(done, of)));
}

function needs(wanted) {
  const all = [wanted.docker && 'Docker', wanted.libvirt && 'libvirt', wanted.memory_mb && words().memory(wanted.memory_mb)];
  return all.filter(Boolean).join(', ') || words().none;
}

function reasons(lab) {
  const why = lab.why || (lab.do ? [{ message: '', do: lab.do }] : []);
  if (!why.length) return '';
  return el('details', { 'data-key': lab.lab }, el('summary', {}, words().why),
    why.map((one) => el('p', {}, rich(one.message), one.message ? el('br') : '',
      one.do ? [el('b', {}, `${words().todo} `), ...rich(one.do)] : '')));
}

function how() {
  return el('section', { 'aria-labelledby': 'vl-how' }, el('h2', { id: 'vl-how' }, words().how),
    el('ol.vl-how', {}, words().steps.map(([what, more]) => el('li', {}, el('b', {}, what), ' ', rich(more)))));
}
