/** Keyboard: one table read by OHIF's hotkeys, by its preferences dialogue and by the panel's help. */
import * as editing from './editing.js';
import * as learning from './learning.js';
import * as overlay from './overlay.js';
import * as session from './session.js';
import { store } from './store.js';
import { LOOK, TOOLS } from './tools.js';

/** What our keys do. `command` is the name that OHIF knows it by. */
export const KEYS = [
  { command: 'braintumorSegment', keys: ['s'], label: 'Segment', run: () => session.segment() },
  ...[1, 2, 3].map(segment => ({
    command: `braintumorLabel${segment}`,
    keys: [String(segment)],
    label: `Label ${segment}`,
    run: () => editing.chooseLabel(segment),
  })),
  ...TOOLS.map(({ id, title, key }) => ({ command: `braintumor${id}`, keys: [key], label: title, run: () => editing.take(id) })),
  { command: 'braintumorLook', keys: ['w'], label: 'Put the tool away', run: () => editing.take(LOOK) },
  { command: 'braintumorSmaller', keys: ['['], label: 'Smaller brush', run: () => editing.size(store.state.brush - 1) },
  { command: 'braintumorLarger', keys: [']'], label: 'Larger brush', run: () => editing.size(store.state.brush + 1) },
  { command: 'braintumorInterpolate', keys: ['f'], label: 'Fill between slices', run: () => editing.interpolate() },
  { command: 'braintumorRefine', keys: ['p'], label: 'Click refine', run: () => editing.toggleRefining() },
  { command: 'braintumorUncertainty', keys: ['u'], label: 'Uncertainty', run: () => overlay.toggle() },
  { command: 'braintumorMask', keys: ['m'], label: 'Hide or show the mask', run: () => editing.toggleMask() },
  { command: 'braintumorSubmit', keys: ['ctrl+enter'], label: 'Submit', run: () => document.dispatchEvent(new Event('braintumor:submit')) },
  { command: 'braintumorNext', keys: ['n'], label: 'Next case', run: () => learning.next() },
  { command: 'braintumorHelp', keys: ['h'], label: 'Keys', run: () => store.set({ help: !store.state.help }) },
];

/** OHIF's own keys that stay; the others would collide with ours or make no sense for four linked planes. */
const THEIRS = [
  { commandName: 'undo', label: 'Undo', keys: ['ctrl+z'], isEditable: true },
  { commandName: 'redo', label: 'Redo', keys: ['ctrl+y'], isEditable: true },
  { commandName: 'nextImage', label: 'Next slice', keys: ['down'], isEditable: true },
  { commandName: 'previousImage', label: 'Previous slice', keys: ['up'], isEditable: true },
  { commandName: 'firstImage', label: 'First slice', keys: ['home'], isEditable: true },
  { commandName: 'lastImage', label: 'Last slice', keys: ['end'], isEditable: true },
  { commandName: 'incrementActiveViewport', label: 'Next view', keys: ['right'], isEditable: true },
  { commandName: 'decrementActiveViewport', label: 'Previous view', keys: ['left'], isEditable: true },
  { commandName: 'scaleUpViewport', label: 'Zoom in', keys: ['+'], isEditable: true },
  { commandName: 'scaleDownViewport', label: 'Zoom out', keys: ['-'], isEditable: true },
  { commandName: 'resetViewport', label: 'Reset view', keys: ['space'], isEditable: true },
  { commandName: 'nextStage', context: 'DEFAULT', label: 'Next layout', keys: ['.'], isEditable: true },
  { commandName: 'previousStage', context: 'DEFAULT', label: 'Previous layout', keys: [','], isEditable: true },
  { commandName: 'invertViewport', label: 'Invert', keys: ['i'], isEditable: true },
  { commandName: 'cancelActiveOperation', label: 'Cancel', keys: ['esc'] },
];

/** For `getCommandsModule`. */
export const commands = Object.fromEntries(KEYS.map(({ command, run }) => [command, { commandFn: () => void run() }]));

/** For OHIF's customization `ohif.hotkeyBindings`. */
export const bindings = [
  ...KEYS.map(({ command, keys, label }) => ({ commandName: command, context: 'DEFAULT', label, keys, isEditable: true })),
  ...THEIRS,
];

/** @type {Record<string, string>} */
const PRETTY = { up: '↑', down: '↓', left: '←', right: '→', 'ctrl+enter': 'Ctrl+Enter', 'ctrl+z': 'Ctrl+Z', 'ctrl+y': 'Ctrl+Y', space: 'Space', esc: 'Esc', home: 'Home', end: 'End' };

/**
 * For people: how a key is written on the keyboard.
 *
 * @param {string} key
 */
export const pretty = key => PRETTY[key] ?? key.toUpperCase();

/** Rows of the help: [key, what it does]. */
export const help = () => bindings.map(({ keys, label }) => [pretty(keys[0]), label]);
