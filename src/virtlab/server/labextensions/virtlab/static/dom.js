// Elements from words. Nothing is ever parsed as HTML.

/** el('p.quiet', {id: 'x', onclick: f}, 'words', child) */
export function el(kind, attributes = {}, ...children) {
  const [name, ...classes] = kind.split('.');
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== ''));
  return node;
}

/** Words in which `this` is code. */
export function rich(words) {
  return String(words || '')
    .split(/`([^`]+)`/)
    .map((part, index) => (index % 2 ? el('code', {}, part) : part));
}

const NS = 'http://www.w3.org/2000/svg';
const SHAPES = {
  pass: ['M4 10.5l4 4 8-9', 'line'],
  fail: ['M10 3a7 7 0 1 0 0 14a7 7 0 1 0 0-14', 'line'],
  unknown: ['M6.6 7.2a3.4 3.4 0 1 1 4.9 3c-1 .5-1.5 1-1.5 2.3M10 16.2v.2', 'line'],
  waiting: ['M4.6 10h.1M10 10h.1M15.4 10h.1', 'line'],
  blocked: ['M10 3a7 7 0 1 0 0 14a7 7 0 1 0 0-14M5.2 5.2l9.6 9.6', 'line'],
  begun: ['M10 3a7 7 0 1 0 0 14a7 7 0 1 0 0-14M10 3v14a7 7 0 0 1 0-14z', 'half'],
};

/** A shape for a state: one can tell them apart without colours. */
export function mark(state) {
  const [path, kind] = SHAPES[state] || SHAPES.waiting;
  const svg = document.createElementNS(NS, 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 20 20', class: `vl-mark vl-${state} ${kind}`, 'aria-hidden': 'true' }))
    svg.setAttribute(key, value);
  const line = document.createElementNS(NS, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** k of n as segments; the words beside it say the same. */
export function bar(done, of) {
  return el('span.vl-bar', { 'aria-hidden': 'true' }, Array.from({ length: of }, (_, i) => el(i < done ? 'i.on' : 'i')));
}

/** An error as a note: what happened, what to do. */
export function trouble(error, words) {
  return el('div.vl-trouble', { role: 'alert' },
    el('p', {}, rich(error.message)),
    error.remedy || error.do ? el('p', {}, el('b', {}, `${words.todo} `), rich(error.remedy || error.do)) : '');
}
