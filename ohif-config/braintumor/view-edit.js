/** Tools, and what becomes of the edits. */
import { edits, h, section, shown } from './dom.js';
import * as editing from './editing.js';
import { icon } from './icons.js';
import { pretty } from './keys.js';
import * as session from './session.js';
import { store } from './store.js';
import { LOOK, TOOLS } from './tools.js';

/**
 * Tool buttons and brush size.
 *
 * @returns {Panel.Part}
 */
export function edit() {
  const buttons = TOOLS.map(tool => {
    const button = h(
      'button',
      { className: 'tool', 'data-tool': tool.id, title: `${tool.hint} (${pretty(tool.key)})`, onclick: () => editing.take(store.state.tool === tool.id ? LOOK : tool.id) },
      icon(tool.id),
      h('span', {}, tool.title)
    );
    return { tool, button };
  });
  const fill = h('button', { className: 'tool', title: 'Fill the slices between drawn ones (F)', onclick: () => editing.interpolate() }, icon('Interpolate'), h('span', {}, 'Fill between'));
  const refine = h('button', { className: 'tool', title: 'Click in an image: the server corrects the mask there. Shift+click removes (P)', onclick: () => editing.toggleRefining() }, icon('Refine'), h('span', {}, 'Click refine'));
  const size = h('input', { type: 'range', min: 1, max: 30, step: 0.5, id: 'size', oninput: event => editing.size(Number(event.target.value)) });
  const sizeText = h('output', {});
  const sizes = h('div', { className: 'line size' }, h('label', { htmlFor: 'size' }, 'Radius'), size, sizeText);
  const hint = h('p', { className: 'hint' });
  const { element } = section('Edit', { id: 'edit' }, h('div', { className: 'tools' }, ...buttons.map(({ button }) => button), fill, refine), sizes, hint);

  /** @param {Panel.State} state */
  const update = ({ tool: active, brush, refining, series, busy, about, segment, mask }) => {
    buttons.forEach(({ tool, button }) => {
      button.setAttribute('aria-pressed', String(active === tool.id));
      button.disabled = !series;
    });
    refine.setAttribute('aria-pressed', String(refining));
    refine.disabled = !mask;
    fill.disabled = !mask || busy === 'interpolate';
    size.value = String(brush);
    sizeText.textContent = `${brush.toFixed(1)} mm`;
    const name = about?.labels.find(label => label.segment === segment)?.name;
    const current = TOOLS.find(tool => tool.id === active);
    hint.textContent = refining ? `Click where ${name} is missing; Shift+click where nothing should be.` : current ? `${current.hint}.` : '';
    shown(hint, hint.textContent !== '');
    shown(sizes, !current || Boolean(current.brush));
  };
  return { element, update };
}

/**
 * Submit and Discard, with the annotator's name asked once.
 *
 * @returns {Panel.Part}
 */
export function submit() {
  const state = h('p', { className: 'state grow' });
  const send = h('button', { className: 'primary grow', title: 'Submit (Ctrl+Enter)', onclick: () => ask() }, 'Submit');
  const discard = h('button', { title: 'Back to the mask as loaded', onclick: () => session.discard() }, 'Discard');
  const name = h('input', { type: 'text', id: 'name', autocomplete: 'name', placeholder: 'Your name', maxLength: 64 });
  const form = h('form', { className: 'name', onsubmit: event => { event.preventDefault(); accept(); } }, h('label', { htmlFor: 'name' }, 'Who corrects? Asked once, stored with the label.'), h('div', { className: 'line' }, name, h('button', { className: 'primary' }, 'OK')));
  const who = h('button', { className: 'link', title: 'Change the name', onclick: () => { form.hidden = false; name.focus(); } });
  const element = h('section', { className: 'submit' }, form, h('div', { className: 'line states' }, state, who), h('div', { className: 'line' }, send, discard));
  let pending = false;

  const annotator = () => localStorage.getItem('braintumor.annotator') ?? '';
  const ask = () => {
    if (!store.state.mask || store.state.busy === 'submit') {
      return;
    }
    if (annotator()) {
      session.submit(annotator());
      return;
    }
    pending = true;
    form.hidden = false;
    name.focus();
  };
  const accept = () => {
    const given = name.value.trim();
    if (!given) {
      return;
    }
    localStorage.setItem('braintumor.annotator', given);
    form.hidden = true;
    store.set({});
    if (pending) {
      pending = false;
      session.submit(given);
    }
  };
  form.hidden = true;
  const listen = () => ask();
  document.addEventListener('braintumor:submit', listen);

  /** @param {Panel.State} state */
  const update = ({ mask, dirty, busy, volumes, savedAt, phase }) => {
    const sending = busy === 'submit';
    send.disabled = !mask || sending || phase !== 'ready';
    send.textContent = sending ? 'Submitting…' : 'Submit';
    discard.disabled = !dirty || sending;
    state.textContent = stateOf({ mask, dirty, volumes, savedAt });
    state.dataset.dirty = String(dirty);
    who.textContent = annotator() ? `as ${annotator()}` : '';
    if (!name.value) {
      name.value = annotator();
    }
  };
  return { element, update, end: () => document.removeEventListener('braintumor:submit', listen) };
}

/** @param {Pick<Panel.State, 'mask' | 'dirty' | 'volumes' | 'savedAt'>} state */
function stateOf({ mask, dirty, volumes, savedAt }) {
  if (!mask) {
    return '';
  }
  if (!dirty) {
    return mask.kind === 'human' ? 'As submitted.' : 'No edits. Submitting confirms the mask as it is.';
  }
  const changes = volumes ? edits(volumes.addedMl, volumes.removedMl, volumes.changedMl) : '';
  return `Not submitted: ${changes}${savedAt ? ', kept in this browser' : ''}`;
}
