/** Every action of the panel runs through here: while it runs that is shown, and whatever fails is said in words. */
import * as api from './api.js';
import { dismiss, notify, store } from './store.js';

const PING_MS = 3000;
let pinging = null;

/** Ask until the server is back, so that Submit can be pressed again. */
function ping() {
  clearTimeout(pinging);
  pinging = setTimeout(async () => {
    try {
      store.set({ about: await api.about(), phase: 'ready' });
    } catch {
      ping();
    }
  }, PING_MS);
}

/** Run an action; whatever fails is said in words. */
export async function attempt(name, action) {
  store.set({ busy: name });
  dismiss(name);
  try {
    return await action();
  } catch (error) {
    const problem = api.asProblem(error);
    console.error('braintumor:', name, error);
    notify({ key: name, kind: 'error', ...words(problem) });
    if (problem.code === 'unreachable') {
      store.set({ phase: 'offline' });
      ping();
    }
    return undefined;
  } finally {
    if (store.state.busy === name) {
      store.set({ busy: null });
    }
  }
}

/** What of a problem is shown; a detail that only repeats the title is not. */
export const words = ({ title, detail, remedy }) => ({ title, detail: detail === title ? '' : detail, remedy });
