/** The panel's tools: which label, which brush, how large; interpolation between slices; refinement by a click. */
import * as api from './api.js';
import { attempt, own } from './attempt.js';
import * as masks from './masks.js';
import { cornerstone, run, tools as cornerstoneTools } from './ohif.js';
import * as session from './session.js';
import { notify, present, store } from './store.js';
import { activate, LOOK, setBrushSize, TOOLS } from './tools.js';

const SMALLEST = 1;
const LARGEST = 30;

/**
 * Paint this segment from now on.
 *
 * @param {number} segment
 */
export function chooseLabel(segment) {
  store.set({ segment });
  if (masks.exists(masks.SEGMENTATION)) {
    masks.activate(masks.SEGMENTATION, segment);
  }
}

/**
 * Take a tool; a study without a mask begins with an empty one.
 *
 * @param {string} tool
 */
export async function take(tool) {
  stopRefining();
  if (tool !== LOOK && !masks.exists(masks.SEGMENTATION)) {
    await session.startEmpty();
  }
  activate(tool);
  setBrushSize(store.state.brush);
  chooseLabel(store.state.segment);
  store.set({ tool: tool === LOOK ? null : tool });
}

/**
 * Brush radius in millimetres.
 *
 * @param {number} radius
 */
export function size(radius) {
  const brush = Math.min(LARGEST, Math.max(SMALLEST, radius));
  store.set({ brush });
  setBrushSize(brush);
}

/**
 * Show or hide one segment.
 *
 * @param {number} segment
 */
export function toggleVisible(segment) {
  const hidden = store.state.hidden.includes(segment) ? store.state.hidden.filter(other => other !== segment) : [...store.state.hidden, segment];
  store.set({ hidden });
  masks.setVisible(masks.SEGMENTATION, segment, !hidden.includes(segment));
}

/** Show or hide the whole mask. */
export function toggleMask() {
  const segments = present(store.state.about).labels.map(label => label.segment);
  const hidden = store.state.hidden.length ? [] : segments;
  store.set({ hidden });
  segments.forEach(segment => masks.setVisible(masks.SEGMENTATION, segment, !hidden.includes(segment)));
}

/** Fill the slices between drawn ones, for the chosen label. */
export async function interpolate() {
  await attempt('interpolate', async () => {
    chooseLabel(store.state.segment);
    await run('interpolateLabelmap');
  });
}

export const undo = () => run('undo');
export const redo = () => run('redo');

/** @type {(() => void) | null} */
let clicks = null;

/** Clicks in the images ask the server to correct the mask around them; Shift says "not this". */
export function toggleRefining() {
  if (store.state.refining) {
    stopRefining();
    return;
  }
  activate(LOOK);
  store.set({ refining: true, tool: null });
  const name = cornerstoneTools().Enums.Events.MOUSE_CLICK;
  /** @param {CustomEvent} event */
  const onClick = event => refineAt(event.detail.currentPoints.world, event.detail.event?.shiftKey);
  const elements = session.views().map(view => view.element);
  elements.forEach(element => element.addEventListener(name, onClick));
  clicks = () => elements.forEach(element => element.removeEventListener(name, onClick));
}

function stopRefining() {
  clicks?.();
  clicks = null;
  store.set({ refining: false });
}

/**
 * @param {Point} world
 * @param {boolean} isBackground
 */
async function refineAt(world, isBackground) {
  const ijk = masks.voxelAt(present(session.grid()), world);
  if (!ijk || store.state.busy === 'refine') {
    return;
  }
  if (!masks.exists(masks.SEGMENTATION)) {
    notify({ key: 'refine', title: 'Segment first', detail: 'A click corrects a mask; this study has none yet.' });
    return;
  }
  await attempt('refine', async () => {
    const { study, series, segment, about } = store.state;
    const label = isBackground ? 0 : present(present(about).labels.find(row => row.segment === segment)).value;
    const { box, voxels } = await own(api.refine(study, series, [{ ijk, label }], session.current()));
    session.edit(voxels, box);
  });
}

/** Follow OHIF's toolbar: a tool taken there is no longer ours. */
export function followToolbar() {
  const target = cornerstone().eventTarget;
  const name = cornerstoneTools().Enums.Events.TOOL_ACTIVATED;
  /** @param {CustomEvent} event */
  const onActivated = event => {
    const { toolName, toolGroupId } = event.detail;
    if (toolGroupId === 'default') {
      const ours = TOOLS.some(tool => tool.id === toolName);
      store.set({ tool: ours ? toolName : null });
    }
  };
  target.addEventListener(name, onActivated);
  return () => target.removeEventListener(name, onActivated);
}

/** Show the linked cursor of the pointer on the other planes. */
export function linkCursors() {
  const { ReferenceCursors, addTool, ToolGroupManager } = cornerstoneTools();
  const group = ToolGroupManager.getToolGroup('default');
  if (!ReferenceCursors || !group || group.hasTool(ReferenceCursors.toolName)) {
    return;
  }
  try {
    addTool(ReferenceCursors);
  } catch {
    // registered already, by an earlier study
  }
  group.addTool(ReferenceCursors.toolName, { positionSync: false, disableCursor: false });
  group.setToolActive(ReferenceCursors.toolName);
  // Cornerstone asks every active tool for handles near a click, and this one has neither handles nor an answer.
  const tool = group.getToolInstance(ReferenceCursors.toolName);
  tool.getHandleNearImagePoint ??= () => undefined;
  tool.isPointNearTool ??= () => false;
}
