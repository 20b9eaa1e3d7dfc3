/**
 * The panel's state: one object, replaced field by field, listeners told once per turn.
 *
 * @template {object} State
 */
export class Store {
  /** @param {State} initial */
  constructor(initial) {
    this.initial = initial;
    this.state = { ...initial };
    /** @type {Set<(state: State) => void>} */
    this.listeners = new Set();
    this.told = true;
  }

  /** @param {Partial<State>} changes */
  set(changes) {
    Object.assign(this.state, changes);
    if (this.told) {
      this.told = false;
      queueMicrotask(() => {
        this.told = true;
        this.listeners.forEach(listener => listener(this.state));
      });
    }
  }

  reset() {
    this.set(this.initial);
  }

  /**
   * @param {(state: State) => void} listener
   * @returns {() => void} ends the subscription
   */
  subscribe(listener) {
    this.listeners.add(listener);
    listener(this.state);
    return () => void this.listeners.delete(listener);
  }
}

/** Everything that the panel shows. */
export const store = new Store(/** @type {Panel.State} */ ({
  phase: 'connecting', // connecting | ready | offline
  about: null,
  study: '', // UID
  info: null, // the server's answer about the study
  series: '', // UID of the series whose grid the mask has
  mask: null, // {version, author, kind: 'model'|'human'|'empty', known: newest label when it was loaded}
  volumes: null,
  dirty: false,
  savedAt: null, // time of the last draft that the browser holds
  segment: 1,
  hidden: [],
  job: null, // running segmentation
  busy: null, // 'submit' | 'load' | 'next' | 'refine' | 'interpolate'
  uncertainty: 'off', // off | loading | on
  tool: null,
  brush: 6, // radius, mm
  refining: false,
  training: null,
  models: null,
  track: null, // {timeline, wish, fresh}: the last comparison with earlier visits
  tracking: null, // its running job
  strategy: 'entropy',
  notices: [], // {id, kind: 'error'|'info'|'done', title, detail, remedy, actions: [{label, run}]}
  help: false,
}));

/**
 * Show a message; one with the same key replaces its predecessor.
 *
 * @param {Omit<Panel.Notice, 'id' | 'kind'> & {key: string, kind?: Panel.Notice['kind']}} notice
 */
export function notify({ key: id, ...notice }) {
  store.set({ notices: [...store.state.notices.filter(other => other.id !== id), { id, kind: 'info', ...notice }] });
}

/**
 * Take a message away.
 *
 * @param {string} id
 */
export function dismiss(id) {
  store.set({ notices: store.state.notices.filter(notice => notice.id !== id) });
}

/**
 * A part of the state that is known to be there by now.
 *
 * @template Value
 * @param {Value | null | undefined} value
 * @returns {Value}
 */
export function present(value) {
  if (value === null || value === undefined) {
    throw new Error('the study is not loaded yet');
  }
  return value;
}
