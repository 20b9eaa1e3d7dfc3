/**
 * What the server's classifier says each series is. Asked before the hanging protocol runs, because OHIF's matching is
 * synchronous; a study the server does not know simply has no sequences, and its series hang in the order they came.
 */
import * as api from './api.js';
import { studiesInUrl } from './ohif.js';

/** The four, in the order of the 2x2 layout. */
export const ORDER = ['t1ce', 'flair', 't1', 't2'];
/** @type {Record<string, string>} */
export const TITLES = { t1ce: 'T1ce', flair: 'FLAIR', t1: 'T1', t2: 'T2' };

/** @type {Map<string, Api.Sequence>} */
const bySeries = new Map();
/** @type {Map<string, {answer?: Api.Study, error?: api.Problem}>} */
const studies = new Map();

/**
 * Ask the server about studies; a failure is kept for the panel, which says it, and does not stop the images.
 *
 * @param {string[]} studyUids
 */
export async function load(studyUids) {
  await Promise.all(
    studyUids.map(async uid => {
      try {
        keep(uid, await api.study(uid));
      } catch (error) {
        studies.set(uid, { error: api.asProblem(error) });
      }
    })
  );
}

/**
 * Remember the server's answer about a study.
 *
 * @param {string} uid
 * @param {Api.Study} answer
 */
export function keep(uid, answer) {
  studies.set(uid, { answer });
  for (const [series, evidence] of Object.entries(answer.sequences ?? {})) {
    bySeries.set(series, evidence);
  }
}

/**
 * The server's answer, or `{error}`; undefined if it was not asked.
 *
 * @param {string} uid
 */
export const known = uid => studies.get(uid);

/**
 * For the hanging protocol: 't1ce', 'flair', 't1', 't2', or 'none'.
 *
 * @param {Ohif.DisplaySet | undefined} displaySet
 */
export const sequenceOf = displaySet => bySeries.get(displaySet?.SeriesInstanceUID ?? '')?.sequence ?? 'none';

/**
 * Title for people: 'T1ce', or the description of a series that is none of the four; a prior says so, with its date.
 *
 * @param {Ohif.DisplaySet | undefined} displaySet
 */
export function titleOf(displaySet) {
  const title = TITLES[sequenceOf(displaySet)] ?? displaySet?.SeriesDescription ?? '';
  const [current] = studiesInUrl();
  const isPrior = displaySet && current && displaySet.StudyInstanceUID !== current;
  return isPrior ? `${title}, prior ${dateOf(displaySet)}` : title;
}

/** @param {Ohif.DisplaySet} displaySet */
const dateOf = ({ StudyInstanceUID }) => studies.get(StudyInstanceUID)?.answer?.date ?? '';
