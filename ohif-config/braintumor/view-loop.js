/** Beyond this study: next case, training, history. */
import { edits, h, s, section, shown, when } from './dom.js';
import * as learning from './learning.js';
import * as session from './session.js';

const STRATEGIES = { entropy: 'most uncertain', tta: 'least stable', disagreement: 'most corrected', dropout: 'least sure of itself', random: 'at random' };

/** Next case by strategy. */
export function next() {
  const choice = h('select', { className: 'grow', 'aria-label': 'How the next case is chosen', onchange: event => learning.chooseStrategy(event.target.value) });
  const button = h('button', { title: 'Next case (N)', onclick: () => learning.next() }, 'Next case');
  const report = h('button', { title: 'The report of this study, from the newest submitted mask', onclick: () => window.open(reportPage(shownStudy), '_blank', 'noopener') }, 'Report');
  const element = h('section', { className: 'next' }, h('div', { className: 'line' }, button, choice, report));
  let drawn = null;
  let shownStudy = '';
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

const reportPage = study => new URL(`./report.html?study=${encodeURIComponent(study)}`, import.meta.url).href;

const dice = value => (typeof value === 'number' ? value.toFixed(2) : '–');

/** Training: button, progress, curve, result, versions of the model. */
export function training() {
  const button = h('button', { className: 'wide', onclick: () => learning.train() }, 'Train on submitted labels');
  const stage = h('span', { className: 'grow' });
  const cancel = h('button', { onclick: () => learning.cancel() }, 'Cancel');
  const bar = h('progress', { max: 1 });
  const running = h('div', { className: 'running' }, h('div', { className: 'line' }, stage, cancel), bar);
  const curve = h('figure', { className: 'curve' });
  const result = h('div', { className: 'result' });
  const versions = h('ul', { className: 'versions' });
  const { element } = section('Training', { id: 'training', open: false }, button, running, curve, result, versions);
  const seen = {};
  const update = ({ training: now, about, models, busy }) => {
    const job = now?.job;
    const isRunning = ['pending', 'running'].includes(job?.state);
    if (isRunning && !seen.running) {
      element.open = true;
    }
    seen.running = isRunning;
    shown(button, !isRunning);
    shown(running, isRunning);
    button.disabled = !about || busy === 'train';
    const steps = now?.curve?.length ? `, step ${now.curve[now.curve.length - 1].step}` : '';
    stage.textContent = job?.state === 'pending' ? 'Waiting for its turn' : `${STAGES[job?.stage] ?? 'Training'}${steps}`;
    bar.value = job?.share ?? 0;
    if (seen.curve !== now?.curve) {
      seen.curve = now?.curve;
      curve.replaceChildren(...drawCurve(now?.curve ?? []));
      shown(curve, (now?.curve?.length ?? 0) > 1);
    }
    if (seen.last !== now?.last || seen.state !== job?.state) {
      Object.assign(seen, { last: now?.last, state: job?.state });
      result.replaceChildren(...(isRunning ? [] : resultOf(now?.last, about)));
    }
    if (seen.models !== models) {
      seen.models = models;
      versions.replaceChildren(...versionsOf(models));
      shown(versions, versions.childNodes.length > 0);
    }
  };
  return { element, update };
}

const STAGES = { preparing: 'Preparing the labels', training: 'Training', measuring: 'Testing on held-out patients', publishing: 'Publishing' };

function resultOf(last, about) {
  if (!last) {
    return [];
  }
  const titles = Object.fromEntries((about?.regions ?? []).map(({ name, title }) => [name, title]));
  const rows = Object.keys(last.after ?? {}).map(name =>
    h('tr', {}, h('th', { scope: 'row' }, titles[name] ?? name), h('td', {}, dice(last.before?.[name])), h('td', {}, '→'), h('td', {}, dice(last.after[name])))
  );
  const verdict = last.published ? `Version ${last.version} is published` : 'Not published: the served model is unchanged';
  return [
    h('p', { className: 'verdict', 'data-published': String(last.published) }, verdict),
    last.reason ? h('p', { className: 'why' }, last.reason) : '',
    rows.length ? h('table', {}, h('caption', {}, 'Dice on held-out patients, before and after'), h('tbody', {}, ...rows)) : '',
  ].filter(Boolean);
}

function versionsOf(models) {
  const others = (models?.versions ?? []).filter(({ version }) => version !== models.current);
  return others.slice(0, 5).map(({ version, made }) =>
    h('li', { className: 'line' }, h('span', { className: 'grow' }, `Model ${version}`, h('small', {}, when(made))), h('button', { onclick: () => learning.serve(version) }, 'Serve'))
  );
}

const WIDTH = 260;
const HEIGHT = 72;

/** Loss as a line; Dice on the held-out set as points on a scale of 0 to 1. */
function drawCurve(points) {
  if (points.length < 2) {
    return [];
  }
  const last = points[points.length - 1];
  const x = step => (step / last.step) * (WIDTH - 8) + 4;
  const highest = Math.max(...points.map(({ loss }) => loss));
  const y = loss => HEIGHT - 4 - (loss / highest) * (HEIGHT - 8);
  const line = points.map(({ step, loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(' ');
  const measured = points.filter(point => typeof point.dice === 'number');
  const dots = measured.map(point => s('circle', { cx: x(point.step), cy: HEIGHT - 4 - point.dice * (HEIGHT - 8), r: 2.5, class: 'dice' }));
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': 'Loss over steps' }, s('polyline', { points: line, class: 'loss' }), ...dots);
  const latest = measured[measured.length - 1];
  const caption = [h('span', { className: 'key loss' }, `loss ${last.loss.toFixed(3)}`), latest ? h('span', { className: 'key dice' }, `Dice ${dice(latest.dice)}`) : ''];
  return [svg, h('figcaption', {}, ...caption)];
}

/** Every stored version of this study's mask. */
export function history() {
  const list = h('ol', { className: 'history' });
  const empty = h('p', { className: 'hint' }, 'Nothing was submitted yet.');
  const { element } = section('History', { id: 'history' }, list, empty);
  const seen = {};
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
