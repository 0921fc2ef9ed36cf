// Talking to the kit's part of the Jupyter server: questions over HTTP, news over one WebSocket.
// Addresses are made from the server's own settings, so they work behind any prefix.
import { ServerConnection } from './jupyter.js';

/** An error whose words are for the learner: what happened, and what to do. */
export class LabError extends Error {
  constructor({ message, do: remedy }) {
    super(message);
    this.remedy = remedy || '';
  }
}

/**
 * Browsers drop their requests when a network card appears, and in a lab about containers they appear all the time.
 * JupyterLab would say that it cannot read or save a file; what can be asked twice is asked again instead.
 */
export function bePatient(settings) {
  const { fetch } = settings;
  settings.fetch = async (request, ...more) => {
    const twice = ['GET', 'PUT'].includes(request.method);
    for (let left = twice ? 3 : 0; ; left--) {
      try {
        return await fetch.call(null, left ? request.clone() : request, ...more);
      } catch (error) {
        if (!left || request.signal.aborted) throw error;
        await new Promise((done) => setTimeout(done, 700));
      }
    }
  };
}

/** With `again`, a question that got lost is asked again. */
export async function ask(path, body, again = 3) {
  const settings = ServerConnection.makeSettings();
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  let answer;
  try {
    answer = await ServerConnection.makeRequest(`${settings.baseUrl}virtlab/${path}`, init, settings);
  } catch (error) {
    if (!again) throw error;
    await new Promise((done) => setTimeout(done, 700));
    return ask(path, body, again - 1);
  }
  const said = await answer.json().catch(() => ({ message: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new LabError(said);
  return said;
}

/** What the server tells by itself. Connects again when the connection is lost. */
export class News {
  constructor() {
    this.listeners = new Set();
    this.watched = new Map(); // slug: how many panels show it
    this.paused = new Set(); // slugs that nobody works in
    this.drawn = new Set(); // slugs whose topology can be seen
    this.delay = 500;
    this.connect();
  }

  connect() {
    const settings = ServerConnection.makeSettings();
    const token = settings.token && settings.appendToken ? `?token=${encodeURIComponent(settings.token)}` : '';
    this.socket = new settings.WebSocket(`${settings.wsUrl}virtlab/live${token}`);
    this.socket.onopen = () => {
      this.delay = 500;
      this.tell({ connected: true });
      for (const slug of this.watched.keys()) this.begin(slug);
    };
    this.socket.onmessage = (event) => this.tell(JSON.parse(event.data));
    this.socket.onclose = () => {
      this.tell({ connected: false });
      setTimeout(() => this.connect(), this.delay);
      this.delay = Math.min(this.delay * 2, 15000);
    };
  }

  tell(said) {
    for (const listener of [...this.listeners]) listener(said);
  }

  send(said) {
    if (this.socket.readyState === 1) this.socket.send(JSON.stringify(said));
  }

  /** Hear everything; what is returned ends it. */
  hear(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  watch(slug) {
    const count = this.watched.get(slug) || 0;
    this.watched.set(slug, count + 1);
    if (!count) this.begin(slug);
    else this.send({ watch: slug }); // how it stands is told to the new one, too
  }

  unwatch(slug) {
    const count = (this.watched.get(slug) || 0) - 1;
    if (count > 0) this.watched.set(slug, count);
    else if (this.watched.delete(slug)) this.send({ unwatch: slug });
  }

  begin(slug) {
    if (this.paused.has(slug)) return;
    this.send({ watch: slug });
    if (this.drawn.has(slug)) this.send({ draw: slug });
  }

  /** The guide's kernel has died: nobody works in this lab; or somebody does again. */
  pause(slug, paused) {
    if (paused === this.paused.has(slug)) return;
    this.paused[paused ? 'add' : 'delete'](slug);
    if (paused) this.send({ unwatch: slug });
    else if (this.watched.has(slug)) this.begin(slug);
    this.tell({ lab: slug, paused });
  }

  /** Whether a lab's topology can be seen: what nobody sees is not looked at. */
  draw(slug, drawn) {
    if (drawn === this.drawn.has(slug)) return;
    this.drawn[drawn ? 'add' : 'delete'](slug);
    if (!this.paused.has(slug)) this.send({ [drawn ? 'draw' : 'rest']: slug });
  }
}
