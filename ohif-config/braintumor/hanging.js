/** Hanging protocols: the four sequences 2x2 by the classifier's answer, a prior beside them, and a 3D view. */
import { ORDER } from './sequences.js';

export const ID = '@braintumor/fourUp';

/** All planes of one study move together: same centre, same zoom, same slice, in millimetres. */
const LINKED = [{ type: 'cameraposition', id: 'braintumor-camera', source: true, target: true }];

/** @param {number} index */
const OF_STUDY = index => [
  { attribute: 'studyInstanceUIDsIndex', from: 'options', required: true, constraint: { equals: { value: index } } },
];

/**
 * Selector of one sequence. Series that are not in the table score nothing, so they fill no view of another sequence.
 *
 * @param {string} sequence
 * @param {number} study
 */
function selector(sequence, study) {
  return {
    studyMatchingRules: OF_STUDY(study),
    seriesMatchingRules: [
      { attribute: 'mrSequence', weight: 100, required: true, constraint: { equals: { value: sequence } } },
      { attribute: 'isReconstructable', weight: 1, constraint: { equals: { value: true } } },
    ],
  };
}

/** Any image series of the current study: for studies the server does not know, and for the 3D stage without T1ce. */
const ANY = {
  studyMatchingRules: OF_STUDY(0),
  seriesMatchingRules: [{ attribute: 'numImageFrames', required: true, constraint: { greaterThan: { value: 1 } } }],
};

/**
 * @param {string | {id: string, matchedDisplaySetsIndex: number}} set
 * @param {{orientation?: string, linked?: boolean}} options
 */
const view = (set, { orientation = 'axial', linked = true } = {}) => ({
  viewportOptions: {
    toolGroupId: 'default',
    viewportType: 'volume',
    orientation,
    allowUnmatchedView: true,
    initialImageOptions: { preset: 'middle' },
    syncGroups: linked ? LINKED : [],
  },
  displaySets: [typeof set === 'string' ? { id: set } : set],
});

/** @param {number} rows @param {number} columns */
const grid = (rows, columns) => ({ layoutType: 'grid', properties: { rows, columns } });

const fourUp = {
  id: 'fourUp',
  name: 'Four sequences',
  stageActivation: { enabled: { minViewportsMatched: 2 } },
  viewportStructure: grid(2, 2),
  viewports: ORDER.map(sequence => view(sequence)),
};

const unknown = {
  id: 'unknown',
  name: 'Series as they came',
  stageActivation: { enabled: { minViewportsMatched: 1 } },
  viewportStructure: grid(2, 2),
  viewports: [0, 1, 2, 3].map(index => view({ id: 'any', matchedDisplaySetsIndex: index }, { linked: false })),
};

const prior = {
  id: 'prior',
  name: 'Current and prior',
  stageActivation: { enabled: { minViewportsMatched: 3 } },
  viewportStructure: grid(2, 2),
  viewports: [view('t1ce'), view('prior-t1ce', { linked: false }), view('flair'), view('prior-flair', { linked: false })],
};

const threeD = {
  id: 'threeD',
  name: 'Planes and 3D',
  stageActivation: { enabled: { minViewportsMatched: 1 } },
  viewportStructure: grid(2, 2),
  viewports: [
    view('t1ce', { linked: false }),
    {
      viewportOptions: {
        toolGroupId: 'volume3d',
        viewportType: 'volume3d',
        orientation: 'coronal',
        customViewportProps: { hideOverlays: true },
      },
      displaySets: [{ id: 't1ce', options: { displayPreset: { MR: 'MR-Default', default: 'MR-Default' } } }],
    },
    view('t1ce', { orientation: 'coronal', linked: false }),
    view('t1ce', { orientation: 'sagittal', linked: false }),
  ],
};

const selectors = {
  any: ANY,
  ...Object.fromEntries(ORDER.map(sequence => [sequence, selector(sequence, 0)])),
  'prior-t1ce': selector('t1ce', 1),
  'prior-flair': selector('flair', 1),
};

/** The protocol; with a prior in the URL the stage that compares comes first. */
export function protocol({ withPrior = false } = {}) {
  return {
    id: ID,
    name: 'Brain tumour, four sequences',
    description: 'T1ce, FLAIR, T1 and T2 as our classifier recognised them, linked, with one segmentation over all',
    protocolMatchingRules: [],
    numberOfPriorsReferenced: withPrior ? 1 : 0,
    toolGroupIds: ['default', 'volume3d'],
    imageLoadStrategy: 'interleaveCenter', // the slices on screen first, in all four views
    displaySetSelectors: selectors,
    defaultViewport: view({ id: 'any', matchedDisplaySetsIndex: -1 }, { linked: false }),
    stages: withPrior ? [prior, fourUp, threeD, unknown] : [fourUp, threeD, unknown],
  };
}
