/** Beyond this study: next case, training, history. */
import { edits, h, s, section, shown, when } from './dom.js';
import * as learning from './learning.js';
import * as session from './session.js';

/** @type {Record<string, string>} */
const STRATEGIES = { entropy: 'most uncertain', tta: 'least stable', disagreement: 'most corrected', dropout: 'least sure of itself', random: 'at random' };

/**
 * Next case by strategy.
 *
 * @returns {Panel.Part}
 */
export function next() {
  const choice = h('select', { className: 'grow', 'aria-label': 'How the next case is chosen', onchange: event => learning.chooseStrategy(event.target.value) });
  const button = h('button', { title: 'Next case (N)', onclick: () => learning.next() }, 'Next case');
  const report = h('button', { title: 'The report of this study, from the newest submitted mask', onclick: () => window.open(reportPage(shownStudy), '_blank', 'noopener') }, 'Report');
  const element = h('section', { className: 'next' }, h('div', { className: 'line' }, button, choice, report));
  /** @type {string[] | null} */
  let drawn = null;
  let shownStudy = '';
  /** @param {Panel.State} state */
  const update = ({ about, strategy, busy, phase, study }) => {
    shownStudy = study;
    report.disabled = !study;
    if (about && drawn !== about.strategies) {
      drawn = about.strategies;
      choice.replaceChildren(...about.strategies.map(value => h('option', { value }, STRATEGIES[value] ?? value)));
    }
    choice.value = strategy;
    button.disabled = busy === 'next' || phase !== 'ready';
    button.textContent = busy === 'next' ? 'Choosing…' : 'Next case';
  };
  return { element, update };
}

/** @param {string} study */
const reportPage = study => new URL(`./report.html?study=${encodeURIComponent(study)}`, import.meta.url).href;

/** @param {number | null | undefined} value */
const dice = value => (typeof value === 'number' ? value.toFixed(2) : '–');

/**
 * Training: button, progress, curve, result, versions of the model.
 *
 * @returns {Panel.Part}
 */
export function training() {
  const button = h('button', { className: 'wide', onclick: () => learning.train() }, 'Train on submitted labels');
  const stage = h('span', { className: 'grow' });
  const cancel = h('button', { onclick: () => learning.cancel() }, 'Cancel');
  const bar = h('progress', { max: 1 });
  const running = h('div', { className: 'running' }, h('div', { className: 'line' }, stage, cancel), bar);
  const parts = [curvePart(), resultPart(), versionsPart()];
  const { element } = section('Training', { id: 'training', open: false }, button, running, ...parts.map(part => part.element));
  let wasRunning = false;
  /** @param {Panel.State} state */
  const update = state => {
    const job = state.training?.job;
    const isRunning = isUnderWay(job);
    element.open ||= isRunning && !wasRunning;
    wasRunning = isRunning;
    shown(button, !isRunning);
    shown(running, isRunning);
    button.disabled = !state.about || state.busy === 'train';
    stage.textContent = stageOf(state.training);
    bar.value = job?.share ?? 0;
    parts.forEach(part => part.update(state));
  };
  return { element, update };
}

/** @param {Api.Job | null | undefined} job */
const isUnderWay = job => ['pending', 'running'].includes(job?.state ?? '');

/** @param {Api.Training | null} now */
function stageOf(now) {
  if (now?.job?.state === 'pending') {
    return 'Waiting for its turn';
  }
  const last = now?.curve?.at(-1);
  const stage = (now?.job && STAGES[now.job.stage]) ?? 'Training';
  return last ? `${stage}, step ${last.step}` : stage;
}

/** @returns {Panel.Part} */
function curvePart() {
  const element = h('figure', { className: 'curve' });
  /** @type {Api.CurvePoint[] | undefined} */
  let drawn;
  /** @param {Panel.State} state */
  const update = ({ training: now }) => {
    if (drawn !== now?.curve) {
      drawn = now?.curve;
      element.replaceChildren(...drawCurve(drawn ?? []));
      shown(element, (drawn?.length ?? 0) > 1);
    }
  };
  return { element, update };
}

/** @returns {Panel.Part} */
function resultPart() {
  const element = h('div', { className: 'result' });
  /** @type {{last?: Api.Verdict | null, state?: string}} */
  let drawn = {};
  /** @param {Panel.State} state */
  const update = ({ training: now, about }) => {
    const [last, state] = [now?.last, now?.job?.state];
    if (drawn.last !== last || drawn.state !== state) {
      drawn = { last, state };
      element.replaceChildren(...(isUnderWay(now?.job) ? [] : resultOf(last, about)));
    }
  };
  return { element, update };
}

/** @returns {Panel.Part} */
function versionsPart() {
  const element = h('ul', { className: 'versions' });
  /** @type {Api.Models | null | undefined} */
  let drawn;
  /** @param {Panel.State} state */
  const update = ({ models }) => {
    if (drawn !== models) {
      drawn = models;
      element.replaceChildren(...versionsOf(models));
      shown(element, element.childNodes.length > 0);
    }
  };
  return { element, update };
}

/** @type {Record<string, string>} */
const STAGES = { preparing: 'Preparing the labels', training: 'Training', measuring: 'Testing on held-out patients', publishing: 'Publishing' };

/** @param {Api.Verdict | null | undefined} last @param {Api.About | null} about */
function resultOf(last, about) {
  if (!last) {
    return [];
  }
  const titles = Object.fromEntries((about?.regions ?? []).map(({ name, title }) => [name, title]));
  const rows = Object.entries(last.after ?? {}).map(([name, after]) =>
    h('tr', {}, h('th', { scope: 'row' }, titles[name] ?? name), h('td', {}, dice(last.before?.[name])), h('td', {}, '→'), h('td', {}, dice(after)))
  );
  const verdict = last.published ? `Version ${last.version} is published` : 'Not published: the served model is unchanged';
  return [
    h('p', { className: 'verdict', 'data-published': String(last.published) }, verdict),
    last.reason ? h('p', { className: 'why' }, last.reason) : '',
    rows.length ? h('table', {}, h('caption', {}, 'Dice on held-out patients, before and after'), h('tbody', {}, ...rows)) : '',
  ].filter(Boolean);
}

/** @param {Api.Models | null} models */
function versionsOf(models) {
  const others = (models?.versions ?? []).filter(({ version }) => version !== models?.current);
  return others.slice(0, 5).map(({ version, made }) =>
    h('li', { className: 'line' }, h('span', { className: 'grow' }, `Model ${version}`, h('small', {}, when(made))), h('button', { onclick: () => learning.serve(version) }, 'Serve'))
  );
}

const WIDTH = 260;
const HEIGHT = 72;

/**
 * Loss as a line; Dice on the held-out set as points on a scale of 0 to 1.
 *
 * @param {Api.CurvePoint[]} points
 */
function drawCurve(points) {
  if (points.length < 2) {
    return [];
  }
  const last = points[points.length - 1];
  /** @param {number} step */
  const x = step => (step / last.step) * (WIDTH - 8) + 4;
  const highest = Math.max(...points.map(({ loss }) => loss));
  /** @param {number} loss */
  const y = loss => HEIGHT - 4 - (loss / highest) * (HEIGHT - 8);
  const line = points.map(({ step, loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(' ');
  const measured = points.flatMap(point => (typeof point.dice === 'number' ? [{ step: point.step, value: point.dice }] : []));
  const dots = measured.map(({ step, value }) => s('circle', { cx: x(step), cy: HEIGHT - 4 - value * (HEIGHT - 8), r: 2.5, class: 'dice' }));
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': 'Loss over steps' }, s('polyline', { points: line, class: 'loss' }), ...dots);
  const latest = measured[measured.length - 1];
  const caption = [h('span', { className: 'key loss' }, `loss ${last.loss.toFixed(3)}`), latest ? h('span', { className: 'key dice' }, `Dice ${dice(latest.value)}`) : ''];
  return [svg, h('figcaption', {}, ...caption)];
}

/**
 * Every stored version of this study's mask.
 *
 * @returns {Panel.Part}
 */
export function history() {
  const list = h('ol', { className: 'history' });
  const empty = h('p', { className: 'hint' }, 'Nothing was submitted yet.');
  const { element } = section('History', { id: 'history' }, list, empty);
  /** @type {Partial<Panel.State>} */
  const seen = {};
  /** @param {Panel.State} state */
  const update = ({ info, mask }) => {
    if (seen.info === info && seen.mask === mask) {
      return;
    }
    Object.assign(seen, { info, mask });
    const versions = info?.versions ?? [];
    list.replaceChildren(...versions.map(version => entry(version, version.uid === mask?.version)));
    shown(empty, versions.length === 0);
  };
  return { element, update };
}

/** @param {Api.Version} version @param {boolean} isCurrent */
function entry(version, isCurrent) {
  const { uid, kind, author, model_version: model, created, change } = version;
  const who = kind === 'human' ? author : `Model ${model ?? author}`;
  const about = [when(created), kind === 'human' && model ? `from model ${model}` : ''].filter(Boolean).join(' · ');
  const what = change ? `${edits(change.added_ml, change.removed_ml, change.changed_ml)}, Dice ${dice(change.dice?.WT)} to the model’s` : '';
  const action = isCurrent ? h('span', { className: 'shown' }, 'shown') : h('button', { onclick: () => session.load(uid) }, 'Show');
  return h(
    'li',
    { className: 'line', 'data-version': uid, 'aria-current': isCurrent ? 'true' : 'false' },
    h('div', { className: 'grow' }, h('strong', {}, who), h('small', {}, about), what ? h('small', {}, what) : null),
    action
  );
}
