/**
 * Every action of the panel runs through here: while it runs that is shown, and whatever fails is said in words.
 *
 * OHIF changes studies without loading the page again (worklist, back button) while answers are still on their way. One
 * patient's mask must not reach the next one's images, so whatever waits for the server asks `own` or `sameStudy`.
 */
import * as api from './api.js';
import { dismiss, notify, store } from './store.js';

const PING_MS = 3000;
/** @type {number | undefined} */
let pinging;

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

let visit = 0;

/** Another study comes on the screen, or none: what earlier actions still wait for is not for it. */
export function arrive() {
  visit += 1;
}

/** A question to ask later: is the screen still on the study that it was on just now? */
export function sameStudy() {
  const mine = visit;
  return () => visit === mine;
}

/**
 * The answer, if the study on the screen is still the one it was asked for; else an error that `attempt` keeps to itself.
 *
 * @template Answer
 * @param {Promise<Answer>} promise
 */
export async function own(promise) {
  const here = sameStudy();
  const answer = await promise;
  if (!here()) {
    throw new Error('the study has left the screen');
  }
  return answer;
}

/**
 * Run an action; whatever fails is said in words, unless its study has left the screen.
 *
 * @template Result
 * @param {string} name
 * @param {() => Result | Promise<Result>} action
 */
export async function attempt(name, action) {
  const here = sameStudy();
  store.set({ busy: name });
  dismiss(name);
  try {
    return await action();
  } catch (error) {
    if (!here()) {
      return undefined;
    }
    const problem = api.asProblem(error);
    console.error('braintumor:', name, error);
    notify({ key: name, kind: 'error', ...words(problem) });
    if (problem.code === 'unreachable') {
      store.set({ phase: 'offline' });
      ping();
    }
    return undefined;
  } finally {
    if (here() && store.state.busy === name) {
      store.set({ busy: null });
    }
  }
}

/**
 * What of a problem is shown; a detail that only repeats the title is not.
 *
 * @param {api.Problem} problem
 */
export const words = ({ title, detail, remedy }) => ({ title, detail: detail === title ? '' : detail, remedy });
