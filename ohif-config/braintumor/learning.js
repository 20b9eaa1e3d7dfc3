/** The loop beyond one study: the next case by the chosen strategy, training and what came of it, versions of the model. */
import * as api from './api.js';
import { attempt, own } from './attempt.js';
import { openStudy } from './ohif.js';
import * as session from './session.js';
import { notify, store } from './store.js';

const POLL_MS = 1000;
const SEEN = 'braintumor.seen'; // this tab's studies, so that Next does not return to one that was skipped

/**
 * Choose how the next case is picked.
 *
 * @param {string} strategy
 */
export function chooseStrategy(strategy) {
  localStorage.setItem('braintumor.strategy', strategy);
  store.set({ strategy });
}

/** Open the next case; unsaved edits stay in the browser and are offered when the study is opened again. */
export async function next({ leave = false } = {}) {
  if (store.state.dirty && !leave) {
    const go = { label: 'Go on', run: () => next({ leave: true }) };
    notify({ key: 'next', title: 'There are unsaved edits', detail: 'They stay in this browser and are offered when you open this study again.', actions: [go] });
    return;
  }
  await attempt('next', async () => {
    const seen = new Set([...JSON.parse(sessionStorage.getItem(SEEN) ?? '[]'), store.state.study]);
    const chosen = await own(api.next(store.state.strategy, [...seen]));
    sessionStorage.setItem(SEEN, JSON.stringify([...seen]));
    sessionStorage.setItem('braintumor.reason', JSON.stringify({ study: chosen.study, reason: chosen.reason }));
    session.leaving();
    openStudy(chosen.study);
  });
}

/** Why the server chose this study, if it did. */
export function reason() {
  const told = JSON.parse(sessionStorage.getItem('braintumor.reason') ?? 'null');
  return told && told.study === store.state.study ? told.reason : null;
}

/** Begin training and follow it. */
export async function train() {
  await attempt('train', async () => {
    const job = await api.train();
    store.set({ training: { job, curve: [], last: null } });
    await watch();
  });
}

export const cancel = () => attempt('train', () => api.cancelTraining());

/** @param {Api.Training | null} training */
const running = training => ['pending', 'running'].includes(training?.job?.state ?? '');
let watching = false;

/** Take up a training that runs already, this tab's or another one's. */
export async function resume() {
  try {
    store.set({ training: await api.training(), models: await api.models() });
  } catch (error) {
    console.warn('braintumor: training', error);
    return;
  }
  if (running(store.state.training)) {
    await attempt('train', watch);
  }
}

async function watch() {
  if (watching) {
    return;
  }
  watching = true;
  try {
    let failures = 0;
    while (running(store.state.training)) {
      await new Promise(resolve => setTimeout(resolve, POLL_MS));
      try {
        store.set({ training: await api.training() });
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures > 30) {
          throw error;
        }
      }
    }
    const job = store.state.training?.job;
    store.set({ about: await api.about(), models: await api.models() });
    if (job?.state === 'failed') {
      throw new api.Problem(job.problem ?? { title: 'Training failed', remedy: 'The served model is unchanged. Try again.' });
    }
  } finally {
    watching = false;
  }
}

/**
 * Serve another version of the model: forward, or back.
 *
 * @param {string} version
 */
export async function serve(version) {
  await attempt('models', async () => {
    await api.serveModel(version);
    store.set({ about: await api.about(), models: await api.models() });
    notify({ key: 'models', kind: 'done', title: `Version ${version} is served now` });
  });
}
