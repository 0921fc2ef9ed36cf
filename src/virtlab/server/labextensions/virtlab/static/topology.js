// The live topology of one lab: what is really there, drawn by the server, and the same in words.
import { el, rich, trouble } from './dom.js';
import { Following } from './follow.js';
import { words, say } from './words.js';

const SAID = 4; // changes, and lines of one change, that are told to who does not see the picture

export class Topology extends Following {
  constructor(slug, news) {
    super('vl-topology', slug, news);
    this.id = `virtlab-topology-${slug}`;
    this.title.label = words().topology(this.number);
    this.found = null;
    this.drawing = el('div.vl-drawing', { tabindex: '0', 'data-key': 'drawing' });
    this.words = el('pre');
    this.folded = el('details', {}, el('summary', { 'data-key': 'words' }, words().inWords), this.words);
    this.notice = el('div');
    this.voice.setAttribute('role', 'log'); // only what is added is read, not all again
    this.body.append(this.notice, this.drawing, this.folded);
    this.draw();
  }

  dispose() {
    if (!this.isDisposed) this.news.draw(this.slug, false);
    super.dispose();
  }

  // Followed only while it can be seen: a tab behind another costs nothing.

  onAfterAttach() {
    this.news.draw(this.slug, this.isVisible);
  }

  onAfterShow() {
    this.news.draw(this.slug, true);
  }

  onAfterHide() {
    this.news.draw(this.slug, false);
  }

  heard(told) {
    if (told.tasks && told.phase !== 'started') this.found = null;
    if (!told.topology) return;
    this.announce(told.topology);
    this.found = told.topology;
    this.error = null;
  }

  /** What is there now and was not before, for who does not see it. One act of the learner's often changes the
   *  picture twice (a network, then who is on it), so what was said stays until something else has been said. */
  announce(found) {
    if (!this.found || found.text === this.found.text) return;
    const [before, now] = [this.found, found].map((one) => one.text.split('\n').map((line) => line.trim()));
    const fresh = now.filter((line) => line && !before.includes(line));
    const gone = before.filter((line) => line && !now.includes(line)).map((line) => words().gone(line));
    this.voice.append(el('p', {}, [...fresh, ...gone].slice(0, SAID).join('. ')));
    while (this.voice.childElementCount > SAID) this.voice.firstElementChild.remove();
  }

  render() {
    const { phase, title } = this.stands;
    const found = this.found;
    this.node.setAttribute('aria-label', words().topologyOf(say(title)));
    const waiting = phase && phase !== 'started' ? words().nothingYet : found ? '' : words().lookingAround;
    this.notice.replaceChildren(
      ...this.notes().filter(Boolean),
      waiting ? el('p.vl-quiet', {}, waiting) : '',
      ...(found ? found.unseen.map((one) => el('p.vl-note', {}, rich(`${one.message} ${one.do}`))) : []),
      found && found.error ? trouble(found.error, words()) : '',
    );
    this.folded.hidden = !found;
    this.drawing.hidden = !(found && found.svg);
    this.words.textContent = found ? found.text : '';
    const svg = found && found.svg ? found.svg : '';
    if (svg === this.drawn) return;
    this.drawn = svg; // replaced only when it is another: who has scrolled stays where they are
    this.drawing.replaceChildren(...(svg ? [picture(svg)] : []));
  }
}

/** A drawing of the server's as an element. It is parsed as XML, where nothing runs. */
function picture(svg) {
  const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;
  return document.importNode(parsed, true);
}
