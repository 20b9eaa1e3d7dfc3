/** The panel on the right: one custom element in a shadow root, so that its style and OHIF's do not meet. */
import * as editing from './editing.js';
import { h } from './dom.js';
import * as images from './images.js';
import * as keys from './keys.js';
import * as learning from './learning.js';
import * as overlay from './overlay.js';
import * as session from './session.js';
import { store } from './store.js';
import * as viewEdit from './view-edit.js';
import * as viewHead from './view-head.js';
import * as viewLoop from './view-loop.js';
import * as track from './track.js';
import * as viewMask from './view-mask.js';
import * as viewTrack from './view-track.js';

export const TAG = 'braintumor-panel';

/** What scrolls; messages and what becomes of the edits stay in sight below it. */
const SCROLLS = [viewHead.head, viewHead.study, viewMask.segment, viewMask.regions, viewTrack.change, viewEdit.edit, viewLoop.training, viewLoop.history];
const STAYS = [viewHead.notices, viewEdit.submit, viewLoop.next, () => viewHead.help(keys.help)];

/** @param {EventTarget | null} target */
const isTyped = target => target instanceof Element && target.matches('input:not([type=checkbox], [type=range]), select');

class PanelElement extends HTMLElement {
  /** @type {(() => void)[] | null} What ends with the panel. */
  ends = null;

  connectedCallback() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    /** @type {Panel.Part[]} */
    const scrolls = SCROLLS.map(make => make());
    /** @type {Panel.Part[]} */
    const stays = STAYS.map(make => make());
    const parts = [...scrolls, ...stays];
    const style = h('link', { rel: 'stylesheet', href: new URL('./style.css', import.meta.url).href });
    /** @param {Panel.Part[]} some */
    const elements = some => some.map(part => part.element);
    const body = h('div', { className: 'panel' }, h('div', { className: 'scroll' }, ...elements(scrolls)), h('footer', {}, ...elements(stays)));
    root.replaceChildren(style, body);
    // OHIF's hotkeys see the host element, not the field inside it, and would take letters for commands.
    ['keydown', 'keypress', 'keyup'].forEach(name => body.addEventListener(name, event => isTyped(event.target) && event.stopPropagation()));
    /** @param {Panel.State} state */
    const show = state => parts.forEach(part => part.update(state));
    this.ends = [store.subscribe(show), images.follow(), ...parts.flatMap(part => part.end ?? [])];
    this.begin();
  }

  async begin() {
    const { ends } = this;
    await session.start();
    if (!ends || this.ends !== ends) {
      return; // the study has left the screen, and this panel with it
    }
    ends.push(editing.followToolbar());
    editing.linkCursors();
    let last = store.state.mask;
    ends.push(
      store.subscribe(({ mask }) => {
        if (mask !== last) {
          last = mask;
          overlay.refresh();
        }
      })
    );
    await Promise.all([learning.resume(), track.begin()]);
  }

  disconnectedCallback() {
    session.stop();
    track.end();
    this.ends?.forEach(end => end());
    this.ends = null;
  }
}

if (!customElements.get(TAG)) {
  customElements.define(TAG, PanelElement);
}
