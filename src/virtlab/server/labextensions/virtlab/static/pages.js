// Web pages of the labs in tabs: the blogs, through the server's proxy, and what the registry holds.
import { ICommandPalette, IFrame, ILabShell, ILauncher, ILayoutRestorer, LabIcon, MainAreaWidget, WidgetTracker } from './jupyter.js';
import { words } from './words.js';

const PAGE = 'virtlab:open-page';
export const PAGES = { blog: 'blog', 'blog-06': 'blog/06', registry: 'registry' }; // each with its address below virtlab/
export let visit = () => {}; // shows one, once JupyterLab is there

const icon = new LabIcon({
  name: 'virtlab:page',
  svgstr: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><path class="jp-icon3" fill="#616161" d="M3 4h18v16H3zm2 5v9h14V9zm1-3v1.5h1.5V6zm3 0v1.5h1.5V6z"/></svg>',
});

// A site needs its own cookies and scripts; what it may not do is take this window elsewhere.
const sandbox = ['allow-same-origin', 'allow-scripts', 'allow-forms', 'allow-modals', 'allow-popups', 'allow-downloads'];

export const pages = {
  id: 'virtlab:pages',
  description: 'Web pages of the labs in tabs.',
  autoStart: true,
  requires: [ILabShell],
  optional: [ILayoutRestorer, ILauncher, ICommandPalette],
  activate: (app, shell, restorer, launcher, palette) => {
    const tabs = new WidgetTracker({ namespace: 'virtlab-pages' });
    const name = (page) => words().pages[page] || '';

    const tab = (page) => {
      const content = new IFrame({ sandbox });
      const widget = new MainAreaWidget({ content });
      widget.id = `virtlab-page-${page}`;
      widget.toolbar.hide();
      Object.assign(widget.title, { label: name(page), icon, closable: true });
      content.page = page;
      content.node.querySelector('iframe').title = name(page);
      content.url = `${app.serviceManager.serverSettings.baseUrl}virtlab/${PAGES[page]}`;
      tabs.add(widget);
      shell.add(widget, 'main');
      return widget;
    };

    app.commands.addCommand(PAGE, {
      label: ({ page }) => name(page), icon,
      describedBy: { args: { type: 'object', properties: { page: { type: 'string', enum: Object.keys(PAGES) } } } },
      execute: ({ page }) => {
        if (!(page in PAGES)) return;
        const widget = tabs.find((one) => one.content.page === page) || tab(page);
        shell.activateById(widget.id);
      },
    });
    visit = (page) => app.commands.execute(PAGE, { page });
    Object.keys(PAGES).forEach((page, index) => {
      const item = { command: PAGE, args: { page }, category: words().lab };
      if (launcher) launcher.add({ ...item, rank: index + 1 });
      if (palette) palette.addItem(item);
    });
    if (restorer) {
      restorer.restore(tabs, { command: PAGE, args: (one) => ({ page: one.content.page }), name: (one) => one.content.page });
    }
  },
};
