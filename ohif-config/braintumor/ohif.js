/**
 * The door to OHIF: its managers as handed to `preRegistration`, and the two Cornerstone libraries it puts on `window`.
 * Everything else of the panel asks here, so that what we use of OHIF is visible in one place.
 */

/** @type {Ohif.Managers | null} */
let managers = null;

/**
 * Remember OHIF's managers; called once, when the extension is registered.
 *
 * @param {Ohif.Managers} given
 */
export function remember(given) {
  managers = given;
}

function handed() {
  if (!managers) {
    throw new Error('OHIF has not registered the extension yet');
  }
  return managers;
}

/** OHIF's services by name, e.g. `services().segmentationService`. */
export const services = () => handed().servicesManager.services;

/**
 * Run one of OHIF's commands.
 *
 * @param {string} command
 * @param {object} [options]
 */
export function run(command, options = {}) {
  return handed().commandsManager.run(command, options);
}

/** Cornerstone3D, as OHIF's cornerstone extension exposes it. */
export const cornerstone = () => window.cornerstone;

/** Cornerstone3D tools, as OHIF's cornerstone extension exposes them. */
export const tools = () => window.cornerstoneTools;

/** Slices that were asked for and not sent yet are not wanted any more: the next study's come first. */
export function dropRequests() {
  const { imageLoadPoolManager, imageRetrievalPoolManager, Enums } = cornerstone();
  for (const type of Object.values(Enums.RequestType)) {
    imageLoadPoolManager.clearRequestStack(type);
    imageRetrievalPoolManager.clearRequestStack(type);
  }
}

/** Study UIDs of the address bar: the current study first, priors after it. */
export function studiesInUrl() {
  const query = new URLSearchParams(window.location.search);
  /** @type {string[]} */
  const found = [];
  for (const [name, value] of query) {
    if (name.toLowerCase() === 'studyinstanceuids') {
      found.push(...value.split(',').filter(Boolean));
    }
  }
  return found;
}

/** Whether the person asked for the current study without its prior. */
export const isAlone = () => new URLSearchParams(window.location.search).has('alone');

/**
 * Load a study, and priors to show beside it, by URL: a fresh page holds nothing of the last case.
 *
 * @param {string} study
 * @param {string[]} priors
 */
export function openStudy(study, priors = [], { alone = false, replace = false } = {}) {
  const query = new URLSearchParams([...[study, ...priors].map(uid => ['StudyInstanceUIDs', uid]), ...(alone ? [['alone', '1']] : [])]);
  window.location[replace ? 'replace' : 'assign'](`/ohif/braintumor?${query}`);
}
