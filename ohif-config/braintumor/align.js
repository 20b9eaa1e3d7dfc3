/**
 * A prior shown in the plane of the current study: its camera follows the current view's, moved by the server's registration,
 * and the other way round. Nothing is resampled: Cornerstone cuts the prior's own voxels along that plane.
 */
import { cornerstone, services, studiesInUrl } from './ohif.js';
import { sequenceOf } from './sequences.js';

/** @type {{toPrior: Matrix, toCurrent: Matrix} | null} */
let transforms = null;
/** @type {(() => void)[]} */
const ends = [];
/** Views whose movement is being handed on; what comes back to them is their own echo. */
const leading = new Set();

/**
 * Link every prior's view with the current view of its sequence; `null` takes all links away.
 *
 * @param {Matrix | null} matrix from the study to the prior, in millimetres
 */
export function link(matrix) {
  ends.splice(0).forEach(end => end());
  transforms = matrix && { toPrior: matrix, toCurrent: inverse(matrix) };
  if (!transforms) {
    return;
  }
  const { cornerstoneViewportService: viewports } = services();
  const { unsubscribe } = viewports.subscribe(viewports.EVENTS.VIEWPORT_DATA_CHANGED, () => linkViews());
  ends.push(unsubscribe);
  linkViews();
}

const linked = new WeakSet();

function linkViews() {
  for (const [current, prior] of pairs()) {
    if (!linked.has(prior.element)) {
      linked.add(prior.element);
      follow(current, prior);
    }
    move(current, prior, transforms?.toPrior);
  }
}

/** @param {Ohif.View} current @param {Ohif.View} prior */
function follow(current, prior) {
  const { CAMERA_MODIFIED } = cornerstone().Enums.Events;
  const down = () => move(current, prior, transforms?.toPrior);
  // Only a prior under the pointer leads: otherwise it is being moved by OHIF, and what it shows must not move the study.
  const up = () => prior.element.matches(':hover') && move(prior, current, transforms?.toCurrent);
  current.element.addEventListener(CAMERA_MODIFIED, down);
  prior.element.addEventListener(CAMERA_MODIFIED, up);
  ends.push(() => {
    linked.delete(prior.element);
    current.element.removeEventListener(CAMERA_MODIFIED, down);
    prior.element.removeEventListener(CAMERA_MODIFIED, up);
  });
}

/**
 * Views of the current study, each with the view of the prior that shows the same sequence.
 *
 * @returns {[Ohif.View, Ohif.View][]}
 */
function pairs() {
  const { viewportGridService, cornerstoneViewportService, displaySetService } = services();
  const [study] = studiesInUrl();
  const shown = [...viewportGridService.getState().viewports.entries()]
    .map(([id, { displaySetInstanceUIDs = [] }]) => ({
      view: cornerstoneViewportService.getCornerstoneViewport(id),
      set: displaySetService.getDisplaySetByUID(displaySetInstanceUIDs[0]),
    }))
    .flatMap(({ view, set }) => (set && view?.getAllVolumeIds?.().length ? [{ view, set }] : []));
  const ofStudy = shown.filter(({ set }) => set.StudyInstanceUID === study);
  return shown
    .filter(({ set }) => set.StudyInstanceUID !== study)
    .flatMap(({ view, set }) => {
      const current = ofStudy.find(other => sequenceOf(other.set) === sequenceOf(set))?.view;
      return current ? [/** @type {[Ohif.View, Ohif.View]} */ ([current, view])] : [];
    });
}

/** @param {Ohif.View} from @param {Ohif.View} to @param {Matrix} [matrix] */
function move(from, to, matrix) {
  if (leading.has(to) || !matrix) {
    return;
  }
  leading.add(from);
  try {
    const { position, focalPoint, viewUp, viewPlaneNormal, parallelScale } = from.getCamera();
    to.setCamera({
      position: point(matrix, position),
      focalPoint: point(matrix, focalPoint),
      viewUp: direction(matrix, viewUp),
      viewPlaneNormal: direction(matrix, viewPlaneNormal),
      parallelScale,
    });
    to.render();
  } finally {
    leading.delete(from);
  }
}

/** @param {Matrix} matrix @param {Point} v */
const direction = (matrix, v) => [0, 1, 2].map(row => matrix[row][0] * v[0] + matrix[row][1] * v[1] + matrix[row][2] * v[2]);
/** @param {Matrix} matrix @param {Point} p */
const point = (matrix, p) => direction(matrix, p).map((value, row) => value + matrix[row][3]);

/**
 * Of a rigid motion, whose rotation is undone by its transpose.
 *
 * @param {Matrix} matrix
 */
function inverse(matrix) {
  const turned = [0, 1, 2].map(row => [matrix[0][row], matrix[1][row], matrix[2][row], 0]);
  const back = direction(turned, [matrix[0][3], matrix[1][3], matrix[2][3]]);
  return turned.map((row, n) => [row[0], row[1], row[2], -back[n]]);
}
