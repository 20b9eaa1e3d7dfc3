/**
 * The server's HTTP API (RFC 9457 problem details in, plain words out). No other file calls `fetch`.
 */

const ROOT = '/api';

/** A failure in words for the person at the screen: what happened, and what to do. */
export class Problem extends Error {
  /** @param {Api.Words} words */
  constructor({ title, detail = '', remedy = '', code = 'error', status = 0, ...rest }) {
    super(title);
    this.title = title;
    this.detail = detail;
    this.remedy = remedy;
    this.code = code;
    this.status = status;
    this.rest = rest;
  }
}

/**
 * Any error as a Problem: a bug in the page is said as such, not hidden.
 *
 * @param {unknown} error
 */
export function asProblem(error) {
  if (error instanceof Problem) {
    return error;
  }
  return new Problem({ title: 'The viewer made a mistake', detail: error instanceof Error ? error.message : String(error), code: 'viewer' });
}

/**
 * The HTTP status of a refusal; undefined for any other error.
 *
 * @param {unknown} error
 */
export const statusOf = error => (error instanceof Problem ? error.status : undefined);

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(ROOT + path, options);
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') {
      throw error;
    }
    throw new Problem({
      title: 'The server does not answer',
      detail: 'The connection to it was refused or broke off.',
      remedy: 'Your edits are kept in this browser. Check that the server runs, then try again.',
      code: 'unreachable',
    });
  }
  if (!answer.ok) {
    throw await problemOf(answer);
  }
  return answer;
}

/** @param {Response} answer */
async function problemOf(answer) {
  const body = await answer.json().catch(() => ({}));
  const detail = typeof body.detail === 'string' ? body.detail : '';
  return new Problem({
    ...body,
    title: body.title || `The server answered ${answer.status}`,
    detail,
    remedy: body.remedy || '',
    code: body.code || 'error',
    status: answer.status,
  });
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
const json = (path, options) => call(path, options).then(answer => answer.json());
/**
 * @param {string} path
 * @param {object} [body]
 */
const post = (path, body) =>
  json(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) });
/** @param {Record<string, string | null | undefined>} values */
const query = values =>
  new URLSearchParams(Object.entries(values).flatMap(([name, value]) => (value === undefined || value === null ? [] : [[name, value]])));
/** @param {string} uid */
const studyPath = uid => `/studies/${encodeURIComponent(uid)}`;

/** @type {() => Promise<Api.About>} */
export const about = () => json('/about');
/** @type {(uid: string) => Promise<Api.Study>} */
export const study = uid => json(studyPath(uid));
/** @type {(uid: string) => Promise<Api.Job>} */
export const segment = uid => post(`${studyPath(uid)}/segment`);
/** @type {(uid: string, wish: Api.Wish) => Promise<Api.Job>} */
export const track = (uid, wish) => post(`${studyPath(uid)}/track`, wish);
/** @type {(uid: string) => Promise<Api.Job>} */
export const archiveTimeline = uid => post(`${studyPath(uid)}/timeline/archive`);
/** @type {(uid: string) => Promise<Api.Track>} */
export const timeline = uid => json(`${studyPath(uid)}/timeline`);
/** @param {string} uid */
const reportPath = uid => `${studyPath(uid)}/report`;
/** @type {(uid: string) => Promise<Api.Report>} */
export const report = uid => json(reportPath(uid));
/** @type {(uid: string) => Promise<Api.Job>} */
export const makeReport = uid => post(reportPath(uid));
/** @type {(uid: string, language: string, section: string, change: {version: number, by: string, lines: string[]}) => Promise<Api.Report>} */
export const editReport = (uid, language, section, change) =>
  json(`${reportPath(uid)}/${language}/${section}`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) });
/** @type {(uid: string, approval: {version: number, by: string}) => Promise<Api.Report>} */
export const approveReport = (uid, approval) => post(`${reportPath(uid)}/approve`, approval);
/** @type {(uid: string, amendment: {by: string, reason: string}) => Promise<Api.Report>} */
export const amendReport = (uid, amendment) => post(`${reportPath(uid)}/amend`, amendment);
/** @type {(uid: string) => Promise<Api.Job>} */
export const archiveReport = uid => post(`${reportPath(uid)}/archive`);
/** @type {(uid: string) => Promise<Api.Job>} */
export const sendReport = uid => post(`${reportPath(uid)}/fhir`);
/** @param {string} uid */
export const reportPdf = uid => `${ROOT}${reportPath(uid)}.pdf`;
/** @type {(uid: string, name: string, version: number) => string} */
export const reportPicture = (uid, name, version) => `${ROOT}${reportPath(uid)}/pictures/${encodeURIComponent(name)}?version=${version}`;
/** @param {string} id */
export const cancelJob = id => json(`/jobs/${encodeURIComponent(id)}`, { method: 'DELETE' });
/** @type {(strategy: string, exclude: string[]) => Promise<{study: string, reason: string}>} */
export const next = (strategy, exclude) => post('/next', { strategy, exclude });
/** @type {() => Promise<Api.Job>} */
export const train = () => post('/train');
/** @type {() => Promise<Api.Training>} */
export const training = () => json('/train');
export const cancelTraining = () => json('/train', { method: 'DELETE' });
/** @type {() => Promise<Api.Models>} */
export const models = () => json('/models');
/** @param {string} version */
export const serveModel = version => post(`/models/${encodeURIComponent(version)}/serve`);

/**
 * Voxels of a study's mask on a series' grid.
 *
 * @param {string} uid of the study
 * @param {string} series
 * @param {string} [version] a label's UID, or `model:` and a version
 */
export async function mask(uid, series, version) {
  return voxelsOf(await call(`${studyPath(uid)}/mask?${query({ series, version })}`));
}

/**
 * Entropy 0..255 on a series' grid, same layout as a mask.
 *
 * @param {string} uid of the study
 * @param {string} series
 */
export async function uncertainty(uid, series) {
  return voxelsOf(await call(`${studyPath(uid)}/uncertainty?${query({ series })}`));
}

/**
 * @param {Response} answer
 * @returns {Promise<Api.Voxels>}
 */
async function voxelsOf(answer) {
  const shape = (answer.headers.get('x-shape') ?? '').split(',').map(Number);
  const voxels = new Uint8Array(await answer.arrayBuffer());
  if (shape.length !== 3 || shape[0] * shape[1] * shape[2] !== voxels.length) {
    throw new Problem({ title: 'The mask arrived incomplete', detail: `${voxels.length} voxels for ${shape.join(' x ')}.`, remedy: 'Load it again.' });
  }
  const said = answer.headers.get('x-measurements');
  return { voxels, shape, version: answer.headers.get('x-version'), measurements: said ? JSON.parse(said) : null };
}

/**
 * Store a corrected mask; resolves only once the server says that the archive holds it.
 *
 * @param {string} uid of the study
 * @param {Api.Submission} submission
 * @param {Uint8Array<ArrayBuffer>} voxels
 * @returns {Promise<Api.Version>}
 */
export async function submit(uid, { series, annotator, base, force }, voxels) {
  const path = `${studyPath(uid)}/label?${query({ series, annotator, base, force: force ? 'true' : undefined })}`;
  const body = await gzip(voxels);
  return json(path, { method: 'PUT', headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' }, body });
}

/**
 * The server's correction around clicks: a box, and the voxels of that box.
 *
 * @param {string} uid of the study
 * @param {string} series
 * @param {Api.Click[]} clicks
 * @param {Uint8Array<ArrayBuffer>} voxels
 * @returns {Promise<{box: Box, voxels: Uint8Array}>}
 */
export async function refine(uid, series, clicks, voxels) {
  const packed = toBase64(new Uint8Array(await (await gzip(voxels)).arrayBuffer()));
  const answer = await post(`${studyPath(uid)}/refine?${query({ series })}`, { clicks, scribbles: [], mask: packed });
  return { box: answer.box, voxels: await gunzip(fromBase64(answer.mask)) };
}

/**
 * Follow a job to its end. Server-sent events where they come through, polling where a proxy holds them back.
 *
 * @param {Api.Job} job
 * @param {(job: Api.Job) => void} onProgress
 * @returns {Promise<Api.Job>} the completed job; a failed one throws its Problem
 */
export async function follow(job, onProgress) {
  onProgress(job);
  const last = isOver(job) ? job : await watch(job, onProgress);
  if (last.state === 'failed') {
    throw new Problem(last.problem ?? { title: 'The job failed', remedy: 'Try again.' });
  }
  return last;
}

/** @param {Api.Job} job */
const isOver = job => ['completed', 'failed', 'cancelled'].includes(job.state);
const POLL_MS = 1000;
const POLLS_TO_GIVE_UP = 30;

/**
 * @param {Api.Job} job
 * @param {(job: Api.Job) => void} onProgress
 * @returns {Promise<Api.Job>}
 */
function watch(job, onProgress) {
  const path = `/jobs/${encodeURIComponent(job.id)}`;
  return new Promise((resolve, reject) => {
    const events = new EventSource(`${ROOT}${path}/events`);
    let failures = 0;
    /** @param {Api.Job} now */
    const seen = now => {
      failures = 0;
      onProgress(now);
      if (isOver(now)) {
        events.close();
        resolve(now);
      }
      return isOver(now);
    };
    const poll = async () => {
      try {
        if (seen(await json(path))) {
          return;
        }
      } catch (error) {
        failures += 1;
        if (statusOf(error) === 404 || failures > POLLS_TO_GIVE_UP) {
          reject(error);
          return;
        }
      }
      setTimeout(poll, POLL_MS);
    };
    events.addEventListener('job', event => seen(JSON.parse(event.data)));
    events.onerror = () => {
      events.close();
      poll();
    };
  });
}

/**
 * Gzip, as a Blob to send.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
async function gzip(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))).blob();
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function gunzip(bytes) {
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** @param {Uint8Array} bytes */
function toBase64(bytes) {
  const parts = [];
  for (let start = 0; start < bytes.length; start += 0x8000) {
    parts.push(String.fromCharCode(...bytes.subarray(start, start + 0x8000)));
  }
  return btoa(parts.join(''));
}

/** @param {string} text */
const fromBase64 = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
