// In a class: a button that raises the hand, what the instructor says, and who is looking.
import { Widget } from './jupyter.js';
import { el } from './dom.js';
import { ask } from './server.js';
import { language } from './words.js';

const WORDS = {
  en: {
    raise: 'Raise hand', lower: 'Hand is up', help: 'Asks your instructor for help',
    says: (who) => `Message from ${who}:`, visits: (who) => `${who} is looking at your JupyterLab.`,
  },
  zh: {
    raise: '举手', lower: '已举手', help: '请老师来帮忙',
    says: (who) => `${who} 的消息：`, visits: (who) => `${who} 正在查看你的 JupyterLab。`,
  },
};
const words = () => WORDS[language()];

/** Nothing is shown outside of a class: the server says `null` then. */
export async function joinClass(app, shell, news) {
  const said = await ask('class').catch(() => null);
  if (!said) return;
  const node = el('div.vl-class', {});
  const bar = new Widget({ node });
  bar.id = 'virtlab-class';
  shell.add(bar, 'top', { rank: 900 });
  const shown = new Set();

  const complain = (error) => app.commands.execute('apputils:notify', {
    message: [error.message, error.remedy].filter(Boolean).join(' — '), type: 'error', options: { autoClose: 8000 },
  });

  // A message stays until it is read. Its words are text: JupyterLab would draw Markdown otherwise.
  const show = (message) => {
    if (shown.has(message.id)) return;
    shown.add(message.id);
    const dialog = el('div.vl-message', { role: 'alertdialog', 'aria-label': words().says(message.from) },
      el('b', {}, words().says(message.from)), el('p', {}, message.text),
      el('button', { onclick: () => { dialog.remove(); ask('class', { read: message.id }).catch(complain); } }, 'OK'));
    document.body.append(dialog);
  };

  const draw = ({ hand, messages, visitors }) => {
    const toggle = el('button', {
      'aria-pressed': String(hand), title: words().help,
      onclick: () => ask('class', { hand: !hand }).then(draw, complain),
    }, hand ? words().lower : words().raise);
    node.replaceChildren(
      visitors.length ? el('span.vl-visitor', { role: 'status' }, words().visits(visitors.join(', '))) : '', toggle);
    messages.forEach(show);
  };

  news.hear((told) => { if (told.class) draw(told.class); });
  draw(said);
}
