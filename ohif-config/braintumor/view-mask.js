/** Segment, regions and labels with their volumes, uncertainty. */
import { h, mL, section, shown } from './dom.js';
import * as editing from './editing.js';
import { icon } from './icons.js';
import * as overlay from './overlay.js';
import * as session from './session.js';
import { pretty } from './keys.js';

/** @typedef {Map<number, {row: HTMLElement, pick: HTMLElement, eye: HTMLElement, volume: HTMLElement, label: Api.Label}>} LabelRows */

/** @type {Record<string, string>} */
const STAGES = {
  queue: 'Waiting for its turn',
  study: 'Reading the study',
  case: 'Preparing the images',
  engine: 'Loading the model',
  segment: 'Segmenting',
  measure: 'Measuring',
  findings: 'Writing findings',
  results: 'Writing results',
};

/**
 * The button that segments, and its progress.
 *
 * @returns {Panel.Part}
 */
export function segment() {
  const button = h('button', { className: 'primary wide', title: 'Segment (S)', onclick: () => session.segment() }, 'Segment');
  const bar = h('progress', { max: 1 });
  const stage = h('span', { className: 'grow' });
  const cancel = h('button', { onclick: () => session.cancelSegment() }, 'Cancel');
  const running = h('div', { className: 'running' }, h('div', { className: 'line' }, stage, cancel), bar);
  const element = h('section', { className: 'segment' }, button, running);
  /** @param {Panel.State} state */
  const update = ({ job, busy, phase, series, mask }) => {
    const isRunning = Boolean(job) || busy === 'segment';
    shown(button, !isRunning);
    shown(running, isRunning);
    button.disabled = phase !== 'ready' || !series;
    button.textContent = mask ? 'Segment again' : 'Segment';
    stage.textContent = job ? STAGES[job.stage] ?? (job.state === 'pending' ? 'Waiting for its turn' : job.stage || 'Working') : 'Asking the server';
    bar.value = job?.share ?? 0;
    cancel.disabled = !job;
  };
  return { element, update };
}

/**
 * The mask: where it is from, regions, labels.
 *
 * @returns {Panel.Part}
 */
export function regions() {
  const origin = h('p', { className: 'origin' });
  const table = h('table', { className: 'regions' });
  const labels = h('div', { className: 'labels', role: 'radiogroup', 'aria-label': 'Label to paint' });
  const film = h('input', { type: 'checkbox', role: 'switch', onchange: () => overlay.toggle() });
  const scale = h('span', { className: 'scale', 'aria-hidden': 'true' }, ...overlay.STEPS.map(rgb => h('i', { style: `background:rgb(${rgb})` })));
  const uncertainty = h('label', { className: 'line switch', title: 'Where the model was unsure (U)' }, film, h('span', { className: 'grow' }, 'Uncertainty'), h('span', { className: 'ends' }, 'low'), scale, h('span', { className: 'ends' }, 'high'));
  const { element } = section('Tumour', { id: 'tumour' }, origin, table, labels, uncertainty);

  /** @type {Map<string, HTMLElement>} */
  const cells = new Map();
  /** @type {LabelRows} */
  const rows = new Map();
  /** @param {Api.About} about */
  const build = about => {
    const lines = about.regions.map(({ name, title }) => {
      const cell = h('td', { 'data-region': name });
      cells.set(name, cell);
      return h('tr', {}, h('th', { scope: 'row' }, title), cell, h('td', { className: 'unit' }, 'mL'));
    });
    table.replaceChildren(h('tbody', {}, ...lines));
    labels.replaceChildren(...about.labels.map(label => labelRow(label, rows)));
  };
  /** @type {Api.Label[] | null} */
  let drawn = null;
  /** @param {Panel.State} state */
  const update = ({ about, volumes, mask, segment: chosen, hidden, uncertainty: state, dirty }) => {
    if (about && about.labels !== drawn) {
      drawn = about.labels;
      build(about);
    }
    origin.textContent = originOf(mask, dirty);
    cells.forEach((cell, name) => (cell.textContent = mL(volumes?.regions[name])));
    rows.forEach(({ row, pick, eye, volume, label }) => {
      const isHidden = hidden.includes(label.segment);
      row.dataset.chosen = String(chosen === label.segment);
      pick.setAttribute('aria-checked', String(chosen === label.segment));
      volume.textContent = mL(volumes?.ml(label.value));
      eye.setAttribute('aria-pressed', String(!isHidden));
      eye.replaceChildren(icon(isHidden ? 'Hidden' : 'Visible'));
      eye.title = isHidden ? 'Show' : 'Hide';
    });
    film.checked = state !== 'off';
    film.disabled = state === 'loading' || !mask;
    shown(labels, Boolean(about));
  };
  return { element, update };
}

/** @param {Api.Label} label @param {LabelRows} rows */
function labelRow(label, rows) {
  const volume = h('span', { className: 'volume', 'data-label': label.value });
  const eye = h('button', { className: 'icon eye', 'aria-label': `Show ${label.name}`, onclick: () => editing.toggleVisible(label.segment) });
  const swatch = h('i', { className: 'swatch', style: `background:rgb(${label.rgb})` });
  const pick = h(
    'button',
    { className: 'pick', role: 'radio', title: `Paint ${label.name} (${label.segment})`, onclick: () => editing.chooseLabel(label.segment) },
    swatch,
    h('span', { className: 'grow' }, label.name),
    h('kbd', {}, pretty(String(label.segment)))
  );
  const row = h('div', { className: 'label' }, pick, volume, eye);
  rows.set(label.value, { row, pick, eye, volume, label });
  return row;
}

/** @param {Panel.Mask | null} mask @param {boolean} dirty */
function originOf(mask, dirty) {
  if (!mask) {
    return 'No mask yet. Segment, or take a brush to draw one.';
  }
  const from = { model: `By ${mask.author}`, human: `By ${mask.author}`, empty: 'Drawn from nothing' }[mask.kind];
  return dirty ? `${from}, edited by you` : from;
}
