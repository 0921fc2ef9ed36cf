// JupyterLab's own classes and tokens, for the modules here to import. Filled in before they are loaded.

export let Widget, MainAreaWidget, WidgetTracker, IFrame, LabIcon, ServerConnection;
export let ICommandPalette, ILabShell, ILauncher, ILayoutRestorer, INotebookTracker, ITerminalTracker, ToolbarButton;

export async function connect(scope) {
  const load = async (name) => (await Object.values(scope[name])[0].get())();
  ({ Widget } = await load('@lumino/widgets'));
  ({ ICommandPalette, MainAreaWidget, ToolbarButton, WidgetTracker } = await load('@jupyterlab/apputils'));
  ({ ILabShell, ILayoutRestorer } = await load('@jupyterlab/application'));
  ({ ILauncher } = await load('@jupyterlab/launcher'));
  ({ INotebookTracker } = await load('@jupyterlab/notebook'));
  ({ ITerminalTracker } = await load('@jupyterlab/terminal'));
  ({ IFrame, LabIcon } = await load('@jupyterlab/ui-components'));
  ({ ServerConnection } = await load('@jupyterlab/services'));
}
