/** Change over time: volumes then and now, trend, response by RANO as a measurement aid, and what images do not say. */
import { h, mL, s, section, shown, signedML } from './dom.js';
import { openStudy, studiesInUrl } from './ohif.js';
import { TITLES } from './sequences.js';
import { grid } from './session.js';
import { store } from './store.js';
import * as track from './track.js';

/** @type {Record<string, string>} */
const STAGES = { study: 'Reading the studies', case: 'Preparing the images', segment: 'Segmenting', compare: 'Aligning and comparing', write: 'Writing', archive: 'Storing in the archive' };
const WORKING_GRID = "Measured on the working grid (1 mm in plane), not in this study's own voxels: a little different from the volumes above.";
const STATUS = { '': 'not known', improved: 'improved', stable: 'stable', worse: 'worse' };

/**
 * The section; only there for a study that has a prior.
 *
 * @returns {Panel.Part}
 */
export function change() {
  const where = h('div', { className: 'line' });
  const button = h('button', { className: 'wide', onclick: () => track.compare(store.state.track?.wish) });
  const bar = h('progress', { max: 1 });
  const stage = h('span', { className: 'grow' });
  const running = h('div', { className: 'running' }, h('div', { className: 'line' }, stage), bar);
  const result = h('div', { className: 'change' });
  const { element } = section('Change over time', { id: 'change' }, where, button, running, result);
  /** @type {Partial<Panel.State>} */
  const seen = {};
  /** @param {Panel.State} state */
  const update = state => {
    progress(state.tracking);
    const priors = state.info?.priors ?? [];
    shown(element, priors.length > 0);
    shown(button, !state.tracking && !state.track?.fresh);
    button.disabled = state.phase !== 'ready';
    button.textContent = state.track ? 'A mask has changed: compare again' : `Compare with ${priors.length === 1 ? 'the earlier visit' : `${priors.length} earlier visits`}`;
    if (seen.info !== state.info) {
      seen.info = state.info;
      where.replaceChildren(...beside(priors));
    }
    drawResult(state);
  };
  /** @param {Api.Job | null} tracking */
  const progress = tracking => {
    shown(running, Boolean(tracking));
    stage.textContent = STAGES[tracking?.stage ?? ''] ?? 'Waiting for its turn';
    bar.value = tracking?.share ?? 0;
  };
  /** @param {Panel.State} state */
  const drawResult = ({ track: found, about }) => {
    if (seen.track !== found || seen.about !== about) {
      Object.assign(seen, { track: found, about });
      result.replaceChildren(...(found && about ? resultOf(found, about.regions) : []));
    }
  };
  return { element, update };
}

/**
 * Which prior hangs beside the study, and the other choice.
 *
 * @param {Api.Prior[]} priors
 */
function beside(priors) {
  const [study, shownPrior] = studiesInUrl();
  const newest = priors[0];
  if (!newest) {
    return [];
  }
  const dated = priors.find(({ uid }) => uid === shownPrior)?.date ?? newest.date ?? 'unknown date';
  return shownPrior
    ? [h('span', { className: 'grow' }, `Beside it: ${dated}`), h('button', { onclick: () => openStudy(study, [], { alone: true }) }, 'This study only')]
    : [h('span', { className: 'grow' }, `Earlier visit: ${dated}`), h('button', { onclick: () => openStudy(study, [newest.uid]) }, 'Show beside')];
}

/** @param {Api.Track} found @param {Api.Region[]} regions */
function resultOf({ timeline, wish, fresh }, regions) {
  const { visits, changes, flags } = timeline;
  const last = changes[changes.length - 1];
  const [then, now] = visits.slice(-2);
  const grave = flags.filter(({ severity }) => severity !== 'info');
  return [
    h(
      'table',
      { className: 'changes' },
      h('thead', {}, h('tr', {}, h('th', {}, 'mL'), h('th', { scope: 'col' }, then.date ?? 'before'), h('th', { scope: 'col' }, now.date ?? 'now'), h('th', { scope: 'col' }, 'Change'))),
      h('tbody', {}, ...regions.map(region => row(region, then, now, last.regions[region.name])))
    ),
    grid()?.spacing.some(mm => Math.abs(Math.abs(mm) - 1) > 0.01) ? h('small', {}, WORKING_GRID) : null,
    h('figure', { className: 'curve' }, trend(visits, regions), legend(regions)),
    ...response(timeline),
    h('small', {}, aligned(then.alignment_to_current)),
    grave.length
      ? h('ul', { className: 'flags' }, ...grave.map(({ severity, message }) => h('li', { 'data-severity': severity }, h('span', { className: 'mark' }, '!'), h('span', {}, message))))
      : null,
    facts(visits, wish),
    fresh ? h('button', { className: 'wide', title: 'As DICOM SEG, SR and Spatial Registration', onclick: () => track.archive() }, 'Store in the archive') : null,
  ].filter(part => part !== null);
}

/**
 * @param {Api.Region} region
 * @param {Api.Visit} then
 * @param {Api.Visit} now
 * @param {{ml: Api.Estimate, words: string}} difference
 */
function row({ name, title }, then, now, difference) {
  const { value, standard_error: error } = difference.ml;
  return h(
    'tr',
    { 'data-change': name },
    h('th', { scope: 'row' }, title),
    h('td', {}, mL(then.volume_ml[name].value)),
    h('td', {}, mL(now.volume_ml[name].value)),
    h('td', {}, h('strong', {}, signedML(value)), h('small', {}, `± ${mL(1.96 * error)}, ${difference.words}`))
  );
}

/**
 * Category, the rule that fired and what is not known, said as what it is: an aid.
 *
 * @param {Api.Timeline} timeline
 */
function response({ rano, rano_not_assessed: why, notice }) {
  const last = rano[rano.length - 1];
  if (!last) {
    return [h('p', { className: 'rano' }, h('strong', {}, 'RANO 2.0: not assessed'), h('small', {}, why ? `Because ${why}.` : ''))];
  }
  const missing = last.inputs_missing.length ? `Not known: ${last.inputs_missing.join(', ')}.` : '';
  return [
    h(
      'div',
      { className: 'rano' },
      h('p', {}, h('strong', { 'data-rano': last.category }, `RANO 2.0: ${last.category}`), `, confirmation ${last.confirmation}`),
      h('small', {}, last.rule),
      missing ? h('small', { className: 'missing' }, missing) : null,
      h('small', {}, notice)
    ),
  ];
}

/** @param {Api.Alignment | null} alignment */
const aligned = alignment =>
  alignment ? `Aligned on ${TITLES[alignment.sequence] ?? alignment.sequence}, expected error ${alignment.expected_error_mm.toFixed(1)} mm; the head had turned by ${alignment.rotation_deg.toFixed(0)}°.` : '';

const WIDTH = 280;
const HEIGHT = 120;
const COLOURS = ['#facc15', '#8ab4d8', '#f87171'];

/**
 * Volume of each region over time, with 95 % intervals; equal distances where a date is missing.
 *
 * @param {Api.Visit[]} visits
 * @param {Api.Region[]} regions
 */
function trend(visits, regions) {
  const times = visits.map(({ date }) => Date.parse(date ?? ''));
  const dated = times.every(Number.isFinite) && times[times.length - 1] > times[0];
  /** @param {number} n */
  const place = n => (dated ? (times[n] - times[0]) / (times[times.length - 1] - times[0]) : n / (visits.length - 1));
  /** @param {Api.Estimate} estimate */
  const high = ({ value, standard_error: error }) => value + 1.96 * error;
  const highest = Math.max(1, ...visits.flatMap(({ volume_ml: ml }) => Object.values(ml).map(high)));
  /** @param {number} n */
  const x = n => 34 + place(n) * (WIDTH - 60);
  /** @param {number} ml */
  const y = ml => HEIGHT - 20 - (Math.max(0, ml) / highest) * (HEIGHT - 30);
  const scale = [0, highest / 2, highest].map(ml => s('g', { class: 'tick' }, s('line', { x1: 30, x2: WIDTH - 12, y1: y(ml), y2: y(ml) }), words(26, y(ml) + 4, ml.toFixed(ml < 10 ? 1 : 0), 'end')));
  const ends = [0, visits.length - 1].map((n, side) => words(x(n) + (side ? 14 : -14), HEIGHT - 5, visits[n].date ?? `visit ${n + 1}`, side ? 'end' : 'start'));
  const lines = regions.flatMap(({ name }, number) => {
    const found = visits.map(({ volume_ml: ml }) => ml[name]);
    const stroke = COLOURS[number];
    return [
      s('polyline', { points: found.map(({ value }, n) => `${x(n)},${y(value)}`).join(' '), style: `stroke:${stroke}` }),
      ...found.map((estimate, n) => s('line', { x1: x(n), x2: x(n), y1: y(2 * estimate.value - high(estimate)), y2: y(high(estimate)), style: `stroke:${stroke}` })),
      ...found.map(({ value }, n) => s('circle', { cx: x(n), cy: y(value), r: 3, style: `fill:${stroke}` })),
    ];
  });
  return s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': 'Volume over time in mL' }, ...scale, ...ends, ...lines);
}

/** @type {(x: number, y: number, text: string, anchor: string) => SVGElement} */
function words(x, y, text, anchor) {
  const element = s('text', { x, y, 'text-anchor': anchor });
  element.textContent = text;
  return element;
}

/** @param {Api.Region[]} regions */
const legend = regions =>
  h('figcaption', {}, ...regions.map(({ name, title }, n) => h('span', { className: 'legend', title }, h('i', { style: `background:${COLOURS[n]}` }), name)));

/**
 * Steroids, clinical status, surgery, radiotherapy: asked for, never guessed.
 *
 * @param {Api.Visit[]} visits
 * @param {Api.Wish} wish
 */
function facts(visits, wish) {
  const rows = visits.map(({ study_uid: uid, date }) => ({ uid, date, ...(wish.known?.[uid] ?? {}) }));
  const fields = rows.map(({ uid, date, steroid_mg: dose, clinical, preoperative }) => ({
    uid,
    date,
    dose: h('input', { type: 'number', min: '0', max: '1000', step: '0.5', value: dose ?? '', 'aria-label': `Dexamethasone equivalent, mg per day, ${date}` }),
    status: h('select', { 'aria-label': `Clinical status, ${date}` }, ...Object.entries(STATUS).map(([value, label]) => h('option', { value, selected: value === (clinical ?? '') }, label))),
    before: h('input', { type: 'checkbox', checked: Boolean(preoperative), 'aria-label': `Before surgery, ${date}` }),
  }));
  const ended = h('input', { type: 'date', value: wish.radiotherapy_end ?? '', id: 'radiotherapy' });
  const baseline = h('select', { id: 'baseline' }, h('option', { value: '' }, 'earliest visit'), ...visits.map(({ date }) => h('option', { value: date ?? '', selected: Boolean(date) && date === wish.baseline }, date ?? 'no date')));
  const apply = () =>
    track.compare({
      known: Object.fromEntries(fields.map(({ uid, dose, status, before }) => [uid, { steroid_mg: dose.value === '' ? null : Number(dose.value), clinical: status.value || null, preoperative: before.checked }])),
      radiotherapy_end: ended.value || null,
      baseline: baseline.value || null,
    });
  const heads = ['Visit', 'Steroid mg/d', 'Clinically', 'Pre-op'].map(title => h('th', { scope: 'col' }, title));
  return h(
    'details',
    { className: 'facts' },
    h('summary', {}, 'What images do not say'),
    h('table', {}, h('thead', {}, h('tr', {}, ...heads)), h('tbody', {}, ...fields.map(({ date, dose, status, before }) => h('tr', {}, h('th', { scope: 'row' }, date ?? '–'), h('td', {}, dose), h('td', {}, status), h('td', {}, before))))),
    h('label', { className: 'line', htmlFor: 'radiotherapy' }, h('span', { className: 'grow' }, 'Radiotherapy ended'), ended),
    h('label', { className: 'line', htmlFor: 'baseline' }, h('span', { className: 'grow' }, 'Baseline scan'), baseline),
    h('button', { className: 'wide', onclick: apply }, 'Assess again')
  );
}
