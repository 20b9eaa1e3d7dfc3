/** Change since earlier visits: compare with the priors of the archive, and keep what the person says of the visits. */
import * as align from './align.js';
import * as api from './api.js';
import { attempt, own, sameStudy } from './attempt.js';
import { studiesInUrl } from './ohif.js';
import * as session from './session.js';
import { notify, store } from './store.js';

/** Bring up the last comparison; a prior that hangs beside the study is compared at once, for it is shown aligned. */
export async function begin() {
  const { study, info } = store.state;
  if (!info?.priors?.length) {
    return;
  }
  const [, prior] = studiesInUrl();
  await attempt('track', async () => show(await own(known(study))));
  const found = store.state.track;
  if (prior && !(found?.fresh && found.timeline.visits.some(visit => visit.study_uid === prior))) {
    await compare(found?.wish);
  }
}

/** @param {string} study */
async function known(study) {
  try {
    return await api.timeline(study);
  } catch (error) {
    if (api.statusOf(error) === 404) {
      return null;
    }
    throw error;
  }
}

/**
 * Compare with every earlier visit.
 *
 * @param {Api.Wish} wish what images do not say
 */
export async function compare(wish = {}) {
  const { study } = store.state;
  const told = tell();
  await attempt('track', async () => {
    const asked = { known: wish.known ?? {}, baseline: wish.baseline ?? null, radiotherapy_end: wish.radiotherapy_end ?? null };
    await own(api.follow(await own(api.track(study, asked)), told));
    show(await own(known(study)));
    await session.refresh(); // the comparison has segmented what was not
  });
  told(null);
}

/** Shows a job while its study is on the screen. */
function tell() {
  const here = sameStudy();
  return (/** @type {Api.Job | null} */ tracking) => here() && store.set({ tracking });
}

/** @param {Api.Track | null} track */
function show(track) {
  store.set({ track });
  const prior = track?.timeline.visits.find(visit => visit.study_uid === studiesInUrl()[1]);
  align.link(prior?.alignment_to_current?.transform_lps ?? null);
}

/** Store the comparison in the archive as DICOM. */
export async function archive() {
  const told = tell();
  await attempt('track', async () => {
    const job = await own(api.follow(await own(api.archiveTimeline(store.state.study)), told));
    if (job.state === 'completed') {
      notify({ key: 'track', kind: 'done', title: 'Stored', detail: 'The archive holds the followed lesions, the change, the numbers and the registration.' });
    }
  });
  told(null);
}

/** Take the links between the views away. */
export const end = () => align.link(null);
