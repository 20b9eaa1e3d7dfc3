/** Where the model was unsure: its entropy as a film of warm colours over every plane, never edited, never submitted. */
import * as api from './api.js';
import { attempt, own, sameStudy } from './attempt.js';
import * as masks from './masks.js';
import * as session from './session.js';
import { services } from './ohif.js';
import { sequenceOf } from './sequences.js';
import { present, store } from './store.js';

/** Steps of entropy, dark to bright; the lowest is not drawn. After matplotlib's "inferno", even in lightness. */
export const STEPS = [
  [87, 16, 110],
  [128, 37, 104],
  [170, 51, 86],
  [208, 72, 59],
  [238, 105, 37],
  [251, 155, 6],
  [247, 209, 61],
];
const rows = STEPS.map((rgb, n) => ({ segment: n + 1, name: `uncertainty ${n + 1}`, rgb }));

/** Entropy 0..255 -> step 0 (not drawn) to 7. */
const toStep = Uint8Array.from({ length: 256 }, (_, entropy) => Math.min(STEPS.length, Math.floor(entropy / 32)));

/** Switch the film on or off. */
export async function toggle() {
  const { uncertainty } = store.state;
  if (uncertainty === 'on') {
    masks.remove(masks.UNCERTAINTY);
    store.set({ uncertainty: 'off' });
    await session.showEverywhere();
    return;
  }
  if (uncertainty === 'off') {
    const here = sameStudy();
    store.set({ uncertainty: 'loading' });
    await attempt('uncertainty', draw);
    if (here()) {
      store.set({ uncertainty: masks.exists(masks.UNCERTAINTY) ? 'on' : 'off' });
    }
  }
}

/** The film again after a new mask or a change of layout. */
export async function refresh() {
  if (store.state.uncertainty === 'on') {
    await attempt('uncertainty', draw);
  }
}

async function draw() {
  const { study, series } = store.state;
  const { voxels } = await own(api.uncertainty(study, series));
  const { displaySetService } = services();
  const displaySet = displaySetService.getActiveDisplaySets().find(set => set.SeriesInstanceUID === series && sequenceOf(set) !== 'none');
  await own(masks.create(masks.UNCERTAINTY, present(displaySet), rows));
  masks.write(masks.UNCERTAINTY, voxels, toStep);
  await own(masks.show(masks.UNCERTAINTY, rows, present(session.grid()).frame, { planesOnly: true }));
  masks.style(masks.UNCERTAINTY, { fillAlpha: 0.5, outlineWidth: 0 });
  await session.showEverywhere(); // the brushes paint the active labelmap: it must be the tumour again
}
