/** Top of the panel: who serves us, what the study is like, and every message. */
import { h, shown } from './dom.js';
import * as learning from './learning.js';
import { dismiss, store } from './store.js';

const PHASES = { connecting: 'Connecting…', ready: 'Connected', offline: 'No connection' };

/**
 * Connection, model, study.
 *
 * @returns {Panel.Part}
 */
export function head() {
  const dot = h('span', { className: 'dot' });
  const phase = h('span', { className: 'phase' });
  const model = h('span', { className: 'model', title: 'Version of the model that segments' });
  const caution = h('p', { className: 'caution' });
  const keys = h('button', { className: 'icon', title: 'Keyboard (H)', 'aria-label': 'Keyboard', onclick: () => store.set({ help: !store.state.help }) }, '?');
  const element = h('header', {}, h('div', { className: 'line' }, dot, phase, model, keys), caution);
  /** @param {Panel.State} state */
  const update = ({ phase: now, about }) => {
    dot.dataset.phase = now;
    phase.textContent = PHASES[now];
    model.textContent = about ? `Model ${about.model.version}` : '';
    model.title = about ? `${about.model.name}, checksum ${about.model.checksum}` : '';
    caution.textContent = about?.research_use ?? '';
  };
  return { element, update };
}

const MARKS = { serious: '!', warning: '!', info: 'i' };

/**
 * Quality of the study in words, and why it was chosen.
 *
 * @returns {Panel.Part}
 */
export function study() {
  const list = h('ul', { className: 'flags' });
  const reason = h('p', { className: 'reason' });
  const element = h('section', { className: 'study' }, reason, list);
  /** @type {Api.Study | null} */
  let drawn = null;
  /** @param {Panel.State} state */
  const update = ({ info }) => {
    if (drawn === info) {
      return;
    }
    drawn = info;
    const flags = info?.flags ?? [];
    list.replaceChildren(
      ...flags.map(({ severity, message }) =>
        h('li', { 'data-severity': severity }, h('span', { className: 'mark', 'aria-label': severity }, MARKS[severity]), h('span', {}, message))
      )
    );
    reason.textContent = info ? learning.reason() ?? '' : '';
    [list, reason].forEach(part => shown(part, part.childNodes.length > 0));
    shown(element, flags.length > 0 || reason.textContent !== '');
  };
  return { element, update };
}

/**
 * Messages: errors stay until they are dismissed, or the same action succeeds.
 *
 * @returns {Panel.Part}
 */
export function notices() {
  const element = h('section', { className: 'notices', 'aria-live': 'polite' });
  const timers = new Map();
  /** @type {Panel.Notice[] | null} */
  let drawn = null;
  /** @param {Panel.State} state */
  const update = ({ notices: all }) => {
    if (drawn === all) {
      return;
    }
    drawn = all;
    element.replaceChildren(...all.map(draw));
    shown(element, all.length > 0);
    all.filter(({ kind, id }) => kind === 'done' && !timers.has(id)).forEach(({ id }) => timers.set(id, setTimeout(() => { timers.delete(id); dismiss(id); }, 8000)));
  };
  return { element, update };
}

/** @param {Panel.Notice} notice */
function draw({ id, kind, title, detail, remedy, actions = [] }) {
  const close = h('button', { className: 'icon', 'aria-label': 'Dismiss', title: 'Dismiss', onclick: () => dismiss(id) }, '×');
  /** @param {() => unknown} run */
  const act = run => () => {
    dismiss(id);
    run();
  };
  return h(
    'div',
    { className: 'notice', 'data-kind': kind, role: kind === 'error' ? 'alert' : 'status' },
    h('div', { className: 'line' }, h('strong', {}, title), close),
    detail ? h('p', {}, detail) : null,
    remedy ? h('p', { className: 'remedy' }, remedy) : null,
    actions.length ? h('div', { className: 'actions' }, ...actions.map(({ label, run }) => h('button', { onclick: act(run) }, label))) : null
  );
}

/**
 * The keyboard, as an overlay of the panel.
 *
 * @param {() => string[][]} rows
 * @returns {Panel.Part}
 */
export function help(rows) {
  const list = h('dl', {}, ...rows().flatMap(([key, what]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)]));
  const close = h('button', { className: 'icon', 'aria-label': 'Close', onclick: () => store.set({ help: false }) }, '×');
  const mouse = h('p', {}, 'Left button: tool. Wheel: slice. Right: zoom. Middle: move. All four planes follow.');
  const element = h('section', { className: 'help' }, h('div', { className: 'line' }, h('strong', {}, 'Keyboard and mouse'), close), mouse, list);
  return { element, update: ({ help: isOpen }) => shown(element, isOpen) };
}
