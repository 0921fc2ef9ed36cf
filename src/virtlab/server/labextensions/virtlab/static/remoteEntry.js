// JupyterLab loads this file, gives it the packages it shares, and asks it for plugins. The rest are modules.
(() => {
  const here = document.currentScript.src;
  const module = (name) => import(new URL(name, here).href);
  let shared;
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.virtlab = {
    init: async (scope) => {
      shared = scope;
    },
    get: async () => {
      const jupyter = await module('jupyter.js');
      await jupyter.connect(shared); // first: the other modules extend its classes
      const [{ plugins }, { pages }] = await Promise.all(['plugin.js', 'pages.js'].map(module));
      return () => ({ __esModule: true, default: [plugins, pages] });
    },
  };
})();
