/**
 * The one door between the server's masks and Cornerstone's labelmap: slice order, label values and geometry change here
 * and nowhere else.
 *
 * A mask at the server is a Uint8Array of label *values* (0, 1, 2, 4), i (column) fastest, then j (row), then k (slice along
 * the normal row x column, lowest first). Cornerstone holds one image per slice with *segment indices* (0..3), in OHIF's
 * display order, which runs from head to foot and is therefore usually the other way round.
 */
import { cornerstone, services, tools } from './ohif.js';

/** Ids of the labelmaps of the study on the screen. */
export let SEGMENTATION = '';
export let UNCERTAINTY = '';

/** New ids for another study: OHIF remembers an id's colour table although Cornerstone forgets the tables with the study. */
export function renew() {
  const visit = Date.now();
  SEGMENTATION = `braintumor-${visit}`;
  UNCERTAINTY = `braintumor-uncertainty-${visit}`;
}
renew();

const LABELMAP = 'Labelmap';
const PLANES_DRAWN_MS = 1500;

/** @type {(a: Point, b: Point) => number} */
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
/** @type {(a: Point, b: Point) => Point} */
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
/** @type {(a: Point, b: Point) => Point} */
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
/** @param {string} imageId */
const planeOf = imageId => cornerstone().metaData.get('imagePlaneModule', imageId);
/** @param {string} imageId */
const imageOf = imageId => cornerstone().cache.getImage(imageId);

/**
 * The rule of slice order: image ids sorted so that the n-th is slice k = n of the server's mask, whatever order they came in.
 *
 * @param {string[]} imageIds of one series
 */
export function inServerOrder(imageIds) {
  const { rowCosines, columnCosines } = planeOf(imageIds[0]);
  const normal = cross(rowCosines, columnCosines);
  const heights = imageIds.map(id => ({ id, height: dot(planeOf(id).imagePositionPatient, normal) }));
  return heights.sort((a, b) => a.height - b.height).map(({ id }) => id);
}

/**
 * Grid of a series as the server numbers its voxels.
 *
 * @param {{imageIds: string[]}} displaySet
 * @returns {Panel.Grid}
 */
export function gridOf(displaySet) {
  const ids = inServerOrder(displaySet.imageIds);
  const first = planeOf(ids[0]);
  const last = planeOf(ids[ids.length - 1]);
  const normal = cross(first.rowCosines, first.columnCosines);
  const along = dot(minus(last.imagePositionPatient, first.imagePositionPatient), normal);
  const gap = ids.length > 1 ? along / (ids.length - 1) : first.sliceThickness || 1;
  return {
    shape: [first.columns, first.rows, ids.length],
    origin: first.imagePositionPatient,
    axes: [first.rowCosines, first.columnCosines, normal],
    spacing: [first.columnPixelSpacing, first.rowPixelSpacing, gap],
    voxelMl: Math.abs(first.columnPixelSpacing * first.rowPixelSpacing * gap) / 1000,
    frame: first.frameOfReferenceUID,
  };
}

/**
 * Voxel [i, j, k] at a point in millimetres, or null outside the grid.
 *
 * @param {Panel.Grid} grid
 * @param {Point} world
 */
export function voxelAt(grid, world) {
  const from = minus(world, grid.origin);
  const ijk = grid.axes.map((axis, n) => Math.round(dot(from, axis) / grid.spacing[n]));
  return ijk.every((index, n) => index >= 0 && index < grid.shape[n]) ? ijk : null;
}

/**
 * Tables between label values and segment indices, from the server's label table.
 *
 * @param {Api.Label[]} labels
 * @returns {Panel.Tables}
 */
export function tablesOf(labels) {
  const toIndex = new Uint8Array(256);
  const toValue = new Uint8Array(256);
  for (const { value, segment } of labels) {
    toIndex[value] = segment;
    toValue[segment] = value;
  }
  return { toIndex, toValue };
}

/**
 * A labelmap over one series, shown on every plane of the same frame of reference.
 *
 * @param {string} id
 * @param {Ohif.DisplaySet} displaySet
 * @param {Panel.Row[]} rows one per segment, in order of segment
 */
export async function create(id, displaySet, rows) {
  const { segmentationService } = services();
  if (segmentationService.getSegmentation(id)) {
    return;
  }
  const segments = Object.fromEntries(rows.map(({ segment, name }) => [segment, { label: name, active: segment === 1 }]));
  await segmentationService.createLabelmapForDisplaySet(displaySet, { segmentationId: id, label: id === UNCERTAINTY ? 'Uncertainty' : 'Brain tumour', segments });
}

/**
 * Whether the labelmap exists.
 *
 * @param {string} id
 */
export const exists = id => Boolean(services().segmentationService.getSegmentation(id));

/**
 * Take a labelmap away from every view.
 *
 * @param {string} id
 */
export function remove(id) {
  if (exists(id)) {
    services().segmentationService.remove(id);
  }
}

/**
 * Show a labelmap on every plane and 3D view that lacks it. A plane of another frame of reference (a prior) stays bare.
 *
 * @param {string} id
 * @param {Panel.Row[]} rows
 * @param {string} frame of reference
 * @returns {Promise<string[]>} ids of the views that show it now
 */
export async function show(id, rows, frame, { planesOnly = false } = {}) {
  const { viewportGridService } = services();
  /** @type {string[]} */
  const shown = [];
  const ids = [...viewportGridService.getState().viewports.keys()];
  // Planes first: Cornerstone draws one view after the other, and making surfaces takes seconds.
  for (const viewportId of [...ids.filter(key => !isSolid(key)), ...(planesOnly ? [] : ids.filter(isSolid))]) {
    if (!isOf(viewportId, frame)) {
      continue;
    }
    if (isSolid(viewportId) && shown.length) {
      await new Promise(resolve => setTimeout(resolve, PLANES_DRAWN_MS));
    }
    await represent(id, rows, viewportId);
    shown.push(viewportId);
  }
  return shown;
}

/** @param {string} viewportId */
const viewOf = viewportId => services().cornerstoneViewportService.getCornerstoneViewport(viewportId);
/** @param {string} viewportId */
const isSolid = viewportId => viewOf(viewportId)?.type === 'volume3d';

/**
 * Whether a view shows a volume of this frame of reference.
 *
 * @param {string} viewportId
 * @param {string} frame
 */
function isOf(viewportId, frame) {
  const view = viewOf(viewportId);
  return Boolean(view?.getAllVolumeIds?.().length && view.getFrameOfReferenceUID() === frame);
}

/**
 * A labelmap on one view, in our colours.
 *
 * @param {string} id
 * @param {Panel.Row[]} rows
 * @param {string} viewportId
 */
async function represent(id, rows, viewportId) {
  const { segmentationService } = services();
  if (!segmentationService.getSegmentationRepresentations(viewportId, { segmentationId: id }).length) {
    const type = isSolid(viewportId) ? 'Surface' : LABELMAP;
    await segmentationService.addSegmentationRepresentation(viewportId, { segmentationId: id, type });
  }
  // Always, and not by a colour table at creation: OHIF brings representations back after a change of layout, in its own colours.
  const [{ segments }] = segmentationService.getSegmentationRepresentations(viewportId, { segmentationId: id });
  rows
    .filter(({ segment, rgb }) => String(segments[segment]?.color?.slice(0, 3)) !== String(rgb))
    .forEach(({ segment, rgb }) => segmentationService.setSegmentColor(viewportId, id, segment, [...rgb, 255]));
}

/**
 * Ids of the labelmap's images in the server's order.
 *
 * @param {string} id
 */
const slices = id => inServerOrder(tools().segmentation.getLabelmapImageIds(id));

/**
 * Replace the labelmap by a mask of the server, or a box of it.
 *
 * @param {string} id
 * @param {Uint8Array} voxels in the server's layout, of the whole grid or of the box
 * @param {Uint8Array} toIndex
 * @param {Box} [box]
 */
export function write(id, voxels, toIndex, box) {
  const images = slices(id).map(imageOf);
  const [[i0, i1], [j0, j1], [k0, k1]] = box ?? [[0, images[0].columns], [0, images[0].rows], [0, images.length]];
  let from = 0;
  for (let k = k0; k < k1; k += 1) {
    const data = images[k].voxelManager.getScalarData();
    for (let j = j0; j < j1; j += 1) {
      const row = j * images[k].columns;
      for (let i = i0; i < i1; i += 1, from += 1) {
        data[row + i] = toIndex[voxels[from]];
      }
    }
  }
  tools().segmentation.triggerSegmentationEvents.triggerSegmentationDataModified(id);
}

/**
 * The labelmap as a mask in the server's layout; at most one slice is looked up at a time, so it is quick enough to draw by.
 *
 * @param {string} id
 * @param {Uint8Array} toValue
 */
export function read(id, toValue) {
  const images = slices(id).map(imageOf);
  const size = images[0].rows * images[0].columns;
  const voxels = new Uint8Array(size * images.length);
  images.forEach((image, k) => {
    const data = image.voxelManager.getScalarData();
    const start = k * size;
    for (let n = 0; n < size; n += 1) {
      voxels[start + n] = toValue[data[n]];
    }
  });
  return voxels;
}

/**
 * Volumes in mL: of each label value, of each region, and what was added to and removed from a mask it is compared with.
 *
 * @param {Uint8Array} voxels
 * @param {Uint8Array | null} before
 * @param {Api.Region[]} regions
 * @param {number} voxelMl
 * @returns {Panel.Volumes}
 */
export function measure(voxels, before, regions, voxelMl) {
  const counts = new Uint32Array(256);
  let added = 0;
  let removed = 0;
  let changed = 0;
  for (let n = 0; n < voxels.length; n += 1) {
    const value = voxels[n];
    counts[value] += 1;
    const old = before ? before[n] : 0;
    if (value !== old) {
      changed += 1;
      added += old === 0 ? 1 : 0;
      removed += value === 0 ? 1 : 0;
    }
  }
  /** @param {Api.Region} region */
  const ofRegion = ({ labels }) => labels.reduce((sum, value) => sum + counts[value], 0) * voxelMl;
  return {
    labels: counts,
    ml: value => counts[value] * voxelMl,
    regions: Object.fromEntries(regions.map(region => [region.name, ofRegion(region)])),
    addedMl: added * voxelMl,
    removedMl: removed * voxelMl,
    changedMl: changed * voxelMl,
    changed,
  };
}

/**
 * Choose the segment that the brushes paint, on every view.
 *
 * @param {string} id
 * @param {number} segment
 */
export function activate(id, segment) {
  const { segmentationService, viewportGridService } = services();
  for (const viewportId of viewportGridService.getState().viewports.keys()) {
    if (segmentationService.getSegmentationRepresentations(viewportId, { segmentationId: id }).length) {
      segmentationService.setActiveSegmentation(viewportId, id);
    }
  }
  segmentationService.setActiveSegment(id, segment);
}

/**
 * Show or hide one segment on every view.
 *
 * @param {string} id
 * @param {number} segment
 * @param {boolean} visible
 */
export function setVisible(id, segment, visible) {
  const { segmentationService, viewportGridService } = services();
  for (const viewportId of viewportGridService.getState().viewports.keys()) {
    for (const { type } of segmentationService.getSegmentationRepresentations(viewportId, { segmentationId: id })) {
      segmentationService.setSegmentVisibility(viewportId, id, segment, visible, type);
    }
  }
}

/**
 * How labelmaps look: the tumour with outlines, the uncertainty as a film.
 *
 * @param {string} id
 * @param {{fillAlpha: number, outlineWidth: number}} look
 */
export function style(id, { fillAlpha, outlineWidth }) {
  const alphas = { fillAlpha, fillAlphaInactive: fillAlpha };
  const outline = { renderOutline: outlineWidth > 0, renderOutlineInactive: outlineWidth > 0, outlineWidth, outlineWidthInactive: outlineWidth };
  services().segmentationService.setStyle({ segmentationId: id, type: LABELMAP }, { renderFill: true, renderFillInactive: true, ...alphas, ...outline });
}
