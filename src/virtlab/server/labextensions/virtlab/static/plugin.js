// What JupyterLab gets: the start page, opening a lab with everything beside it, the checklist.
import {
  ICommandPalette, ILabShell, ILauncher, ILayoutRestorer, INotebookTracker, ITerminalTracker,
  LabIcon, MainAreaWidget, ToolbarButton, WidgetTracker,
} from './jupyter.js';
import { Checklist } from './checks.js';
import { joinClass } from './class.js';
import { StartHere } from './start.js';
import { Topology } from './topology.js';
import { News, ask, bePatient } from './server.js';
import { words } from './words.js';

const START = 'virtlab:start-here';
const OPEN = 'virtlab:open-lab';
const CHECKS = 'virtlab:checklist';
const TOPOLOGY = 'virtlab:topology';
const LABS = /^lab\d\d$/; // terminals of labs
const GUIDE = /^(?:.*\/)?(\d\d-[a-z0-9-]+)\/\1[^/]*\.ipynb$/; // 05-name/05-name.ipynb, and a newer one beside it

const icon = new LabIcon({
  name: 'virtlab:lab',
  svgstr: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><path class="jp-icon3" fill="#616161" d="M9.4 18.9 3 12.5l1.7-1.7 4.7 4.7L19.3 5.5 21 7.2z"/></svg>',
});

export const plugins = {
  id: 'virtlab:labs',
  description: 'The labs: start page, guide beside a terminal, live checklist.',
  autoStart: true,
  requires: [ILabShell, INotebookTracker],
  optional: [ITerminalTracker, ILayoutRestorer, ILauncher, ICommandPalette],
  activate: (app, shell, notebooks, terminals, restorer, launcher, palette) => {
    const { commands } = app;
    bePatient(app.serviceManager.serverSettings);
    const news = new News();
    document.head.append(Object.assign(document.createElement('link'), {
      rel: 'stylesheet', href: new URL('virtlab.css', import.meta.url).href,
    }));

    // One tab of each: asking again brings it to the front.

    const starts = new WidgetTracker({ namespace: 'virtlab-start' });
    const checklists = new WidgetTracker({ namespace: 'virtlab-checks' });
    const topologies = new WidgetTracker({ namespace: 'virtlab-topology' });

    const tab = (tracker, id, make, how = {}) => {
      let widget = tracker.find((one) => one.id === id);
      if (!widget) {
        const content = make();
        widget = new MainAreaWidget({ content });
        widget.id = id;
        widget.toolbar.hide();
        widget.title.label = content.title.label;
        widget.title.icon = icon;
        content.title.changed.connect(() => (widget.title.label = content.title.label));
        tracker.add(widget);
        shell.add(widget, 'main', how);
      }
      return widget;
    };

    const go = {
      open: (lab, task) => commands.execute(OPEN, { lab, task }),
      task: (lab, task) => commands.execute(OPEN, { lab, task }),
      topology: (lab) => shell.activateById(topology(lab, beside(lab)).id),
    };
    const startHere = () => tab(starts, 'virtlab-start', () => new StartHere(news, go.open), near(notebooks, slugOf));
    const checklist = (slug, how) => tab(checklists, `virtlab-checklist-${slug}`, () => new Checklist(slug, news, go), how);
    const topology = (slug, how) => tab(topologies, `virtlab-topology-of-${slug}`, () => new Topology(slug, news), how);
    const beside = (slug) => {
      const list = checklists.find((one) => one.content.slug === slug);
      return list && list.isAttached ? { ref: list.id, mode: 'tab-after', activate: false } : {};
    };

    // Another lab's things go where this lab's are: beside the first of their kind that is open.
    const near = (tracker, fits) => {
      const one = tracker.find((widget) => widget.isAttached && fits(widget));
      return one && { ref: one.id, mode: 'tab-after' };
    };

    // The guide on the left; on the right the lab's terminal; below it the checklist, and the topology behind that.

    const openLab = async (slug, task) => {
      const told = await ask(`labs/${slug}/open`, {});
      const options = near(notebooks, slugOf) || near(starts, () => true) || {};
      const guide = await commands.execute('docmanager:open', { path: told.guide, options });
      const attached = (one) => one && one.isAttached;
      let terminal = terminals && terminals.find((one) => one.content.session.name === told.terminal);
      const isNew = !attached(terminal) && !attached(checklists.find((one) => one.content.slug === slug));
      if (isNew) shell.collapseLeft();
      if (!terminal && told.terminal) {
        const right = { ref: guide.id, mode: 'split-right', activate: false };
        const place = near(terminals, (one) => LABS.test(one.content.session.name)) || right;
        terminal = await commands.execute('terminal:create-new', { name: told.terminal });
        terminal.title.closable = true;
        shell.add(terminal, 'main', place);
      }
      const below = { ref: (terminal || guide).id, mode: terminal ? 'split-bottom' : 'split-right', activate: false };
      checklist(slug, near(checklists, () => true) || below);
      topology(slug, beside(slug));
      shell.activateById(guide.id);
      if (told.newer) offer(told.newer);
      if (task) await reveal(guide, told.places[task]);
      return guide;
    };

    const offered = new Set();
    const offer = (path) => {
      if (offered.has(path)) return;
      offered.add(path);
      commands.execute('apputils:notify', {
        message: words().newer, type: 'info',
        options: { autoClose: 20000, actions: [{ label: words().openNewer, commandId: 'docmanager:open', args: { path } }] },
      });
    };

    const complain = (error) =>
      app.commands.execute('apputils:notify', {
        message: [error.message, error.remedy].filter(Boolean).join(' — '), type: 'error', options: { autoClose: false },
      });

    // Commands

    commands.addCommand(START, {
      label: () => words().start, icon, describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        shell.activateById(startHere().id);
        closeLaunchers(shell);
      },
    });
    commands.addCommand(OPEN, {
      label: () => words().besides, icon,
      describedBy: { args: { type: 'object', properties: {
        lab: { type: 'string', description: 'The lab’s name' }, task: { type: 'string', description: 'The task to show in its guide' },
      } } },
      execute: async ({ lab, task }) => {
        const slug = lab || slugOf(notebooks.currentWidget);
        try {
          return slug && (await openLab(slug, task));
        } catch (error) {
          return complain(error);
        }
      },
    });
    commands.addCommand(CHECKS, {
      label: ({ lab }) => words().checks(String(lab || '').slice(0, 2)), icon,
      describedBy: { args: { type: 'object', properties: { lab: { type: 'string', description: 'The lab’s name' } } } },
      execute: ({ lab }) => checklist(lab),
    });
    commands.addCommand(TOPOLOGY, {
      label: ({ lab }) => words().topology(String(lab || '').slice(0, 2)), icon,
      describedBy: { args: { type: 'object', properties: { lab: { type: 'string', description: 'The lab’s name' } } } },
      execute: ({ lab }) => topology(lab),
    });
    if (launcher) launcher.add({ command: START, category: words().lab, rank: 0 });
    if (palette) palette.addItem({ command: START, category: words().lab });
    if (restorer) {
      restorer.restore(starts, { command: START, name: () => 'start' });
      for (const [tracker, command] of [[checklists, CHECKS], [topologies, TOPOLOGY]])
        restorer.restore(tracker, { command, args: (one) => ({ lab: one.content.slug }), name: (one) => one.content.slug });
    }

    // Guides: a button that brings terminal and checklist back, and what happens to their kernel.

    notebooks.widgetAdded.connect((_, panel) => {
      const slug = slugOf(panel);
      if (!slug) return;
      panel.toolbar.insertItem(10, 'virtlab', new ToolbarButton({
        icon, label: words().besides, onClick: () => commands.execute(OPEN, { lab: slug }),
      }));
      let lives = false; // before it has begun to live, a kernel's status is unknown as well
      panel.sessionContext.statusChanged.connect((__, status) => {
        if (['idle', 'busy'].includes(status)) {
          lives = true;
          news.pause(slug, false);
        } else if (lives && ['dead', 'terminating', 'unknown'].includes(status)) {
          lives = false;
          news.pause(slug, true);
        }
      });
      panel.disposed.connect(() => {
        if (notebooks.find((one) => one !== panel && slugOf(one) === slug)) return;
        for (const tracker of [checklists, topologies]) tracker.filter((one) => one.content.slug === slug).forEach((one) => one.close());
        news.pause(slug, false); // the page is closed: nothing is left to follow
      });
    });

    app.restored.then(() => joinClass(app, shell, news));

    news.hear((told) => {
      if (told.show) commands.execute(OPEN, { lab: told.show });
    });

    // What opens by itself: the lab that the address names, else the start page where nothing else is open.

    app.restored.then(async () => {
      const address = new URL(location.href);
      const named = address.searchParams.get('open');
      if (named) {
        address.searchParams.delete('open');
        history.replaceState({}, '', address);
        await commands.execute(OPEN, { lab: named });
      } else if (!/\/tree\//.test(address.pathname) && isEmpty(shell)) {
        shell.activateById(startHere().id);
      } else {
        return;
      }
      closeLaunchers(shell);
      setTimeout(() => closeLaunchers(shell), 500); // JupyterLab's own may come a moment later
    });
  },
};

/** Show a cell of a guide, and be in it. */
const reveal = async (guide, id) => {
  await guide.revealed;
  await guide.context.ready;
  const notebook = guide.content;
  const index = notebook.widgets.findIndex((cell) => cell.model.id === id);
  if (index < 0) return; // the learner has removed it
  notebook.activeCellIndex = index;
  await notebook.scrollToItem(index, 'center');
};

const slugOf = (panel) => (panel && GUIDE.exec(panel.context.path) || [])[1];
const isLauncher = (widget) => widget.id.startsWith('launcher');
const isEmpty = (shell) => [...shell.widgets('main')].every(isLauncher);
const closeLaunchers = (shell) => [...shell.widgets('main')].filter(isLauncher).forEach((one) => one.dispose());
