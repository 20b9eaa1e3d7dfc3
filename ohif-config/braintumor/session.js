/** One study on the screen: connect, segment, load a mask, follow the edits, submit or discard them. */
import * as api from './api.js';
import { arrive, attempt, own, sameStudy, words } from './attempt.js';
import * as drafts from './drafts.js';
import * as masks from './masks.js';
import { cornerstone, services, studiesInUrl, tools } from './ohif.js';
import * as sequences from './sequences.js';
import { dismiss, notify, present, store } from './store.js';

const MEASURE_AFTER_MS = 120;
const KEEP_AFTER_MS = 400;
const FILL = 0.3; // of the tumour; only outlines while the uncertainty is shown

/**
 * What the screen holds besides the state: big arrays and timers.
 *
 * @typedef {object} Held
 * @property {Panel.Tables | null} tables
 * @property {Panel.Grid | null} grid
 * @property {Ohif.DisplaySet | null} displaySet
 * @property {Uint8Array | null} base what edits are compared with
 * @property {boolean} writing
 * @property {boolean} counting
 * @property {boolean} keeping
 * @property {boolean} leaving
 */

/** @type {Held} */
const NOTHING = { tables: null, grid: null, displaySet: null, base: null, writing: false, counting: false, keeping: false, leaving: false };
/** @type {Held & {draft: string, timers: Record<string, number>, undo: (() => void)[]}} */
const held = { ...NOTHING, draft: '', timers: {}, undo: [] };

/** Connect to the server and bring up the study of the address bar. */
export async function start() {
  stop();
  masks.renew();
  forgetHistory();
  const [study] = studiesInUrl();
  held.draft = `${study}/${crypto.randomUUID?.() ?? Date.now()}`;
  store.reset();
  store.set({ study, strategy: localStorage.getItem('braintumor.strategy') ?? 'entropy' });
  if (!(await connect())) {
    return;
  }
  listen();
  await attempt('load', async () => {
    held.displaySet = await own(referenceSeries(study));
    held.grid = masks.gridOf(held.displaySet);
    store.set({ series: held.displaySet.SeriesInstanceUID });
    await loadNewest();
    await offerDraft();
  });
}

/** Forget everything of the last study; OHIF destroys its labelmap itself. */
export function stop() {
  arrive();
  held.undo.splice(0).forEach(undo => undo());
  Object.values(held.timers).forEach(clearTimeout);
  Object.assign(held, NOTHING, { timers: {} });
}

/** Ask the server who it is and what it knows about the study. */
export async function connect() {
  const { study } = store.state;
  const here = sameStudy();
  try {
    const [about, info] = await own(Promise.all([api.about(), answerAbout(study)]));
    held.tables = masks.tablesOf(about.labels);
    store.set({ phase: 'ready', about, info });
    dismiss('offline');
    return true;
  } catch (error) {
    if (!here()) {
      return false;
    }
    const problem = api.asProblem(error);
    store.set({ phase: problem.code === 'unreachable' ? 'offline' : 'ready' });
    notify({ key: 'offline', kind: 'error', ...words(problem), actions: [{ label: 'Try again', run: start }] });
    return false;
  }
}

/** @param {string} study */
async function answerAbout(study) {
  const known = sequences.known(study);
  const answer = known?.answer ?? (await api.study(study));
  sequences.keep(study, answer);
  return answer;
}

/**
 * The series whose grid the mask has: T1ce if it is there. Waits until OHIF shows something.
 *
 * @param {string} study
 */
async function referenceSeries(study) {
  const { displaySetService } = services();
  for (let tries = 0; tries < 300; tries += 1) {
    const sets = displaySetService.getActiveDisplaySets().filter(set => set.StudyInstanceUID === study && set.imageIds?.length > 1);
    const ranked = present(store.state.info).references.flatMap(uid => sets.filter(set => set.SeriesInstanceUID === uid));
    const frame = ranked[0] && masks.gridOf(ranked[0]).frame;
    if (frame && views().some(view => view.getFrameOfReferenceUID() === frame)) {
      return ranked[0];
    }
    await new Promise(resolve => setTimeout(resolve, 200));
  }
  throw new api.Problem({ title: 'No series to segment', detail: 'None of the images shown is T1, T1ce, T2 or FLAIR.', remedy: 'Look at the quality notes, or open another study.' });
}

/** Planes that show a volume now. */
export function views() {
  const { viewportGridService, cornerstoneViewportService } = services();
  return [...viewportGridService.getState().viewports.keys()]
    .map(id => cornerstoneViewportService.getCornerstoneViewport(id))
    .flatMap(view => (view?.getAllVolumeIds?.().length ? [view] : []));
}

/** Segment the study, with progress; unsaved edits are kept as a draft and asked about first. */
export async function segment() {
  const { job: running, study } = store.state;
  if (running) {
    return;
  }
  const here = sameStudy();
  /** @param {Api.Job | null} job */
  const show = job => here() && store.set({ job });
  await attempt('segment', async () => {
    const job = await own(api.follow(await own(api.segment(study)), show));
    if (job.state === 'cancelled') {
      notify({ key: 'segment', title: 'Segmentation cancelled' });
      return;
    }
    const [about, info] = await own(Promise.all([api.about(), api.study(study)]));
    store.set({ about, info });
    if (store.state.dirty) {
      const showIt = { label: 'Show it', run: () => replace(`model:${job.result?.model_version}`) };
      notify({ key: 'segment', kind: 'done', title: 'Segmented', detail: 'Your unsaved edits are still shown; showing the new mask replaces them.', actions: [showIt] });
    } else {
      await loadInto(await modelMask(job));
    }
  });
  show(null);
}

/**
 * The model's own mask if the server can name it, else the one it serves by default.
 *
 * @param {Api.Job} job
 */
async function modelMask(job) {
  const version = job.result?.model_version;
  const { study, series } = store.state;
  try {
    return await own(api.mask(study, series, version ? `model:${version}` : undefined));
  } catch (error) {
    if ([404, 422].includes(api.statusOf(error) ?? 0)) {
      return own(api.mask(study, series));
    }
    throw error;
  }
}

export const cancelSegment = () => attempt('cancel', () => api.cancelJob(present(store.state.job).id));

/** The label, which is the newest mask by a human; else the model's; else nothing. */
async function loadNewest() {
  const { study, series, info } = store.state;
  const label = present(info).versions.find(({ kind }) => kind === 'human');
  try {
    await loadInto(await own(api.mask(study, series, label?.uid)));
  } catch (error) {
    if (api.statusOf(error) !== 404 || label) {
      throw error;
    }
  }
}

/** The newest label by a person that this page knows of: whoever submits a newer one meanwhile must not be covered up. */
const newestLabel = () => present(store.state.info).versions.find(({ kind }) => kind === 'human')?.uid ?? 'none';

/** Masks may have been made elsewhere: ask again, and show the newest where there is none yet. */
export async function refresh() {
  store.set({ info: await own(api.study(store.state.study)) });
  if (held.grid && !store.state.mask && !store.state.dirty) {
    await loadNewest();
  }
}

/**
 * Show a stored version. Unsaved edits are asked about first.
 *
 * @param {string} version
 */
export function load(version) {
  if (store.state.dirty) {
    const anyway = { label: 'Replace them', run: () => replace(version) };
    notify({ key: 'replace', title: 'There are unsaved edits', detail: 'Showing another version replaces them.', actions: [anyway] });
    return;
  }
  replace(version);
}

/** @param {string} version */
const replace = version =>
  attempt('load', async () => {
    const { study, series } = store.state;
    await loadInto(await own(api.mask(study, series, version)));
    await drafts.forget(held.draft);
  });

/**
 * Put a mask of the server on the screen; it becomes what edits are compared with.
 *
 * @param {Pick<Api.Voxels, 'voxels' | 'version'>} mask
 */
async function loadInto({ voxels, version }) {
  await ensureLabelmap(voxels);
  held.base = voxels;
  put(voxels);
  const stored = present(store.state.info).versions.find(({ uid }) => uid === version);
  const kind = stored?.kind ?? (version ? 'model' : 'empty');
  const author = stored?.kind === 'human' ? stored.author : version?.replace('model:', 'model ');
  store.set({ mask: { version, kind, author, known: newestLabel() }, savedAt: null });
  forgetHistory();
  measureNow();
}

/** Begin with nothing, for a study that was not segmented. */
export async function startEmpty() {
  const [i, j, k] = present(held.grid).shape;
  await attempt('load', () => loadInto({ voxels: new Uint8Array(i * j * k), version: null }));
}

/** @param {Uint8Array} voxels */
async function ensureLabelmap(voxels) {
  const [i, j, k] = present(held.grid).shape;
  if (voxels.length !== i * j * k) {
    throw new api.Problem({ title: 'The mask does not fit the images', detail: `It has ${voxels.length} voxels, the series ${i} x ${j} x ${k}.`, remedy: 'Report this: nothing was changed.' });
  }
  await own(masks.create(masks.SEGMENTATION, present(held.displaySet), present(store.state.about).labels));
  await showEverywhere();
}

/** After a change of layout, new views need the labelmap too. */
export async function showEverywhere() {
  const { about, segment: chosen, hidden } = store.state;
  if (!held.grid || !masks.exists(masks.SEGMENTATION)) {
    return;
  }
  await own(masks.show(masks.SEGMENTATION, present(about).labels, held.grid.frame));
  masks.style(masks.SEGMENTATION, { fillAlpha: store.state.uncertainty === 'off' ? FILL : 0, outlineWidth: 2 });
  masks.activate(masks.SEGMENTATION, chosen);
  hidden.forEach(index => masks.setVisible(masks.SEGMENTATION, index, false));
}

/** @param {Uint8Array} voxels @param {Box} [box] */
function put(voxels, box) {
  held.writing = true;
  try {
    masks.write(masks.SEGMENTATION, voxels, present(held.tables).toIndex, box);
  } finally {
    held.writing = false;
  }
}

/** The mask on the screen, in the server's layout. */
export const current = () => masks.read(masks.SEGMENTATION, present(held.tables).toValue);

export const grid = () => held.grid;

/**
 * Replace a box of the mask, or all of it, as an edit that can be undone.
 *
 * @param {Uint8Array} voxels
 * @param {Box} [box]
 */
export function edit(voxels, box) {
  const before = current();
  put(voxels, box);
  const after = current();
  /** @param {boolean} undo */
  const restoreMemo = undo => {
    put(undo ? before : after);
    changed();
  };
  cornerstone().utilities.HistoryMemo.DefaultHistoryMemo.push({ restoreMemo, id: masks.SEGMENTATION, operationType: 'labelmap' });
  changed();
}

function forgetHistory() {
  const history = cornerstone().utilities.HistoryMemo.DefaultHistoryMemo;
  const { size } = history;
  history.size = size; // the setter empties the ring: strokes on the last mask cannot be undone on this one
}

/** Listen to brushes and to changes of layout. */
function listen() {
  const { Enums } = tools();
  const target = cornerstone().eventTarget;
  /** @param {CustomEvent} event */
  const onData = event => {
    if (event.detail.segmentationId === masks.SEGMENTATION && !held.writing) {
      changed();
    }
  };
  target.addEventListener(Enums.Events.SEGMENTATION_DATA_MODIFIED, onData);
  held.undo.push(() => target.removeEventListener(Enums.Events.SEGMENTATION_DATA_MODIFIED, onData));

  const { cornerstoneViewportService } = services();
  const soon = () => later('layout', () => showEverywhere().catch(error => console.warn('braintumor: views', error)), 300);
  const { unsubscribe } = cornerstoneViewportService.subscribe(cornerstoneViewportService.EVENTS.VIEWPORT_DATA_CHANGED, soon);
  held.undo.push(unsubscribe);

  /** @param {Event} event */
  const ask = event => (store.state.dirty || held.counting) && !held.leaving && event.preventDefault();
  window.addEventListener('beforeunload', ask);
  held.undo.push(() => window.removeEventListener('beforeunload', ask));
}

/**
 * @param {string} name
 * @param {() => unknown} action
 * @param {number} delay in ms
 */
function later(name, action, delay) {
  clearTimeout(held.timers[name]);
  held.timers[name] = setTimeout(action, delay);
}

/** The labelmap may have changed: count soon, keep soon. Cornerstone also says so when it only redraws. */
function changed() {
  held.counting = true;
  held.keeping = true;
  later('measure', measureNow, MEASURE_AFTER_MS);
  later('keep', keepDraft, KEEP_AFTER_MS);
}

function measureNow() {
  held.counting = false;
  if (!held.grid || !masks.exists(masks.SEGMENTATION)) {
    return;
  }
  const volumes = masks.measure(current(), held.base, present(store.state.about).regions, held.grid.voxelMl);
  store.set({ volumes, dirty: volumes.changed > 0 });
}

/** Edits of the last moment, before OHIF takes the labelmap away. */
export function keepNow() {
  if (held.keeping && held.grid && masks.exists(masks.SEGMENTATION)) {
    measureNow();
    keepDraft();
  }
}

async function keepDraft() {
  held.keeping = false;
  const { study, series, mask, dirty } = store.state;
  try {
    if (!dirty) {
      await drafts.forget(held.draft);
      store.set({ savedAt: null });
      return;
    }
    const at = Date.now();
    await drafts.keep({ id: held.draft, study, series, shape: present(held.grid).shape, voxels: current(), base: mask?.version ?? null, known: mask?.known, at });
    store.set({ savedAt: at });
  } catch (error) {
    notify({ key: 'draft', kind: 'error', title: 'This browser does not keep your edits', detail: api.asProblem(error).detail, remedy: 'Free disk space or leave private browsing, and submit soon.' });
  }
}

async function offerDraft() {
  const found = await own(drafts.find(store.state.study).catch(() => []));
  found.filter(draft => draft.series === store.state.series && String(draft.shape) === String(held.grid?.shape)).forEach(offer);
}

/** @param {Panel.Draft} draft */
function offer(draft) {
  notify({
    key: `restore-${draft.id}`,
    title: 'Unsaved edits were found',
    detail: `Kept by this browser ${new Date(draft.at).toLocaleString()}, never submitted.`,
    actions: [
      { label: 'Restore', run: () => attempt('load', () => restore(draft)) },
      { label: 'Delete', run: () => drafts.forget(draft.id) },
    ],
  });
}

/** @param {Panel.Draft} draft */
async function restore(draft) {
  if (draft.base && draft.base !== store.state.mask?.version) {
    const { study, series } = store.state;
    await loadInto(await own(api.mask(study, series, draft.base).catch(() => api.mask(study, series))));
  }
  if (!store.state.mask) {
    await loadInto({ voxels: new Uint8Array(draft.voxels.length), version: null });
  }
  const mask = present(store.state.mask);
  store.set({ mask: { ...mask, known: draft.known ?? mask.known } });
  held.draft = draft.id; // further edits go on with this draft
  edit(draft.voxels);
}

/**
 * Store the mask at the server; the draft goes only after the server has confirmed.
 *
 * @param {string} annotator
 */
export async function submit(annotator, { force = false } = {}) {
  await attempt('submit', async () => {
    const { study, series, mask } = store.state;
    const voxels = current();
    localStorage.setItem('braintumor.annotator', annotator);
    try {
      // Whoever leaves before the server has confirmed keeps the draft, and is offered it on coming back.
      const version = await own(api.submit(study, { series, annotator, base: mask?.known, force }, voxels));
      const info = await own(api.study(study));
      held.base = voxels;
      store.set({ info, mask: { version: version.uid, kind: 'human', author: version.author, known: version.uid } });
      measureNow();
      await keepDraft();
      notify({ key: 'submit', kind: 'done', title: 'Submitted', detail: 'The archive holds your label; the version before it is kept.' });
    } catch (error) {
      if (!(error instanceof api.Problem) || error.status !== 409 || force) {
        throw error;
      }
      conflict(error, annotator);
    }
  });
}

/** @param {api.Problem} problem @param {string} annotator */
function conflict(problem, annotator) {
  const newer = problem.rest.newer;
  const who = newer ? `${newer.author}${newer.created ? `, ${new Date(newer.created).toLocaleString()}` : ''}` : 'Someone';
  notify({
    key: 'submit',
    kind: 'error',
    title: 'There is a newer version',
    detail: `${who} submitted after you loaded yours. Keeping both makes yours the newest; theirs stays in the history.`,
    actions: [{ label: 'Keep both', run: () => submit(annotator, { force: true }) }],
  });
}

/** Go back to the mask as loaded. Undo brings the edits back while the page is open. */
export function discard() {
  if (held.base && store.state.dirty) {
    edit(held.base);
    notify({ key: 'discard', title: 'Edits discarded', detail: 'Undo (Ctrl+Z) brings them back.' });
  }
}

/** Do not ask before the page goes: the user was told that the draft stays. */
export function leaving() {
  held.leaving = true;
}
