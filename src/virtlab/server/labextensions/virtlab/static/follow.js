// What the panels beside a guide have in common: they follow one lab, and rest while nobody works in it.
import { Widget } from './jupyter.js';
import { el, mark, trouble } from './dom.js';
import { words } from './words.js';
import { LabError } from './server.js';

export class Following extends Widget {
  constructor(kind, slug, news) {
    super({ node: el(`section.vl-panel.${kind}`, { tabindex: '-1' }) });
    this.slug = slug;
    this.number = slug.slice(0, 2);
    this.news = news;
    this.stands = { tasks: [], title: slug, phase: '' };
    this.error = null;
    this.lost = false;
    this.voice = el('div.vl-unseen', { role: 'status', 'aria-live': 'polite' });
    this.body = el('div');
    this.node.append(this.voice, this.body);
    this.unhear = news.hear((told) => this.hear(told));
    news.watch(slug);
  }

  dispose() {
    if (!this.isDisposed) {
      this.unhear();
      this.news.unwatch(this.slug);
    }
    super.dispose();
  }

  onActivateRequest() {
    this.node.focus();
  }

  get paused() {
    return this.news.paused.has(this.slug);
  }

  hear(told) {
    if ('connected' in told && told.connected === this.lost) {
      this.lost = !told.connected;
      this.draw();
    }
    if (told.lab !== this.slug) return;
    if (told.tasks) {
      this.stands = told;
      this.error = null;
    }
    if (told.error) this.error = new LabError(told.error);
    this.heard(told);
    this.draw();
  }

  draw() {
    if (this.isDisposed) return;
    const held = this.body.contains(document.activeElement) ? document.activeElement.dataset.key : '';
    this.render();
    if (held) this.body.querySelector(`[data-key="${held}"]`)?.focus();
  }

  /** What stands in the way, if anything does. */
  notes() {
    const goOn = () => this.button('resume', () => this.news.pause(this.slug, false));
    return [
      this.lost ? el('p.vl-note', {}, mark('unknown'), words().lost) : '',
      this.paused ? el('p.vl-note', {}, mark('unknown'), words().paused, ' ', goOn()) : '',
      this.error ? trouble(this.error, words()) : '',
    ];
  }

  button(key, onclick) {
    return el('button.vl-button', { type: 'button', 'data-key': key, onclick }, words()[key]);
  }
}
