/**
 * The server's HTTP API (RFC 9457 problem details in, plain words out). No other file calls `fetch`.
 *
 * @typedef {{id: string, kind: string, subject: string, state: string, stage: string, share: number,
 *   problem: {title: string, detail: string, remedy: string, code: string} | null, result: any}} Job
 * @typedef {{uid: string, kind: 'human'|'model', author: string, model_version: string | null, created: string | null,
 *   referenced_series: string, change: {dice: Record<string, number>, added_ml: number, removed_ml: number} | null}} Version
 * @typedef {{value: number, segment: number, name: string, short: string, rgb: number[], regions: string[]}} Label
 * @typedef {{name: string, title: string, labels: number[]}} Region
 */

const ROOT = '/api';

/** A failure in words for the person at the screen: what happened, and what to do. */
export class Problem extends Error {
  /** @param {{title: string, detail?: string, remedy?: string, code?: string, status?: number}} words */
  constructor({ title, detail = '', remedy = '', code = 'error', status = 0, ...rest }) {
    super(title);
    Object.assign(this, { title, detail, remedy, code, status, rest });
  }
}

/** Any error as a Problem: a bug in the page is said as such, not hidden. */
export function asProblem(error) {
  if (error instanceof Problem) {
    return error;
  }
  return new Problem({ title: 'The viewer made a mistake', detail: String(error?.message ?? error), code: 'viewer' });
}

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(ROOT + path, options);
  } catch (error) {
    if (error?.name === 'AbortError') {
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

const json = (path, options) => call(path, options).then(answer => answer.json());
const post = (path, body) =>
  json(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) });
const query = values => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined && value !== null));
const studyPath = uid => `/studies/${encodeURIComponent(uid)}`;

export const about = () => json('/about');
export const study = uid => json(studyPath(uid));
export const segment = uid => post(`${studyPath(uid)}/segment`);
export const track = (uid, wish) => post(`${studyPath(uid)}/track`, wish);
export const archiveTimeline = uid => post(`${studyPath(uid)}/timeline/archive`);
export const timeline = uid => json(`${studyPath(uid)}/timeline`);
const reportPath = uid => `${studyPath(uid)}/report`;
export const report = uid => json(reportPath(uid));
export const makeReport = uid => post(reportPath(uid));
export const editReport = (uid, language, section, change) =>
  json(`${reportPath(uid)}/${language}/${section}`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) });
export const approveReport = (uid, approval) => post(`${reportPath(uid)}/approve`, approval);
export const amendReport = (uid, amendment) => post(`${reportPath(uid)}/amend`, amendment);
export const archiveReport = uid => post(`${reportPath(uid)}/archive`);
export const sendReport = uid => post(`${reportPath(uid)}/fhir`);
export const reportPdf = uid => `${ROOT}${reportPath(uid)}.pdf`;
export const reportPicture = (uid, name, version) => `${ROOT}${reportPath(uid)}/pictures/${encodeURIComponent(name)}?version=${version}`;
export const cancelJob = id => json(`/jobs/${encodeURIComponent(id)}`, { method: 'DELETE' });
export const next = (strategy, exclude) => post('/next', { strategy, exclude });
export const train = () => post('/train');
export const training = () => json('/train');
export const cancelTraining = () => json('/train', { method: 'DELETE' });
export const models = () => json('/models');
export const serveModel = version => post(`/models/${encodeURIComponent(version)}/serve`);

/** Voxels of a study's mask on a series' grid: {voxels, shape: [i, j, k], version, measurements}; x fastest. */
export async function mask(study, series, version) {
  return voxelsOf(await call(`${studyPath(study)}/mask?${query({ series, version })}`));
}

/** Entropy 0..255 on a series' grid, same layout as a mask. */
export async function uncertainty(study, series) {
  return voxelsOf(await call(`${studyPath(study)}/uncertainty?${query({ series })}`));
}

async function voxelsOf(answer) {
  const shape = (answer.headers.get('x-shape') ?? '').split(',').map(Number);
  const voxels = new Uint8Array(await answer.arrayBuffer());
  if (shape.length !== 3 || shape[0] * shape[1] * shape[2] !== voxels.length) {
    throw new Problem({ title: 'The mask arrived incomplete', detail: `${voxels.length} voxels for ${shape.join(' x ')}.`, remedy: 'Load it again.' });
  }
  const said = answer.headers.get('x-measurements');
  return { voxels, shape, version: answer.headers.get('x-version'), measurements: said ? JSON.parse(said) : null };
}

/** Store a corrected mask; resolves only once the server says that the archive holds it. */
export async function submit(study, { series, annotator, base, force }, voxels) {
  const path = `${studyPath(study)}/label?${query({ series, annotator, base, force: force ? 'true' : undefined })}`;
  const body = await gzip(voxels);
  return json(path, { method: 'PUT', headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' }, body });
}

/** The server's correction around clicks: {box: [[i0, i1], [j0, j1], [k0, k1]], voxels} of that box. */
export async function refine(study, series, clicks, voxels) {
  const packed = toBase64(new Uint8Array(await (await gzip(voxels)).arrayBuffer()));
  const answer = await post(`${studyPath(study)}/refine?${query({ series })}`, { clicks, scribbles: [], mask: packed });
  return { box: answer.box, voxels: await gunzip(fromBase64(answer.mask)) };
}

/**
 * Follow a job to its end. Server-sent events where they come through, polling where a proxy holds them back.
 *
 * @param {Job} job
 * @param {(job: Job) => void} onProgress
 * @returns {Promise<Job>} the completed job; a failed one throws its Problem
 */
export async function follow(job, onProgress) {
  onProgress(job);
  const last = isOver(job) ? job : await watch(job, onProgress);
  if (last.state === 'failed') {
    throw new Problem(last.problem ?? { title: 'The job failed', remedy: 'Try again.' });
  }
  return last;
}

const isOver = job => ['completed', 'failed', 'cancelled'].includes(job.state);
const POLL_MS = 1000;
const POLLS_TO_GIVE_UP = 30;

function watch(job, onProgress) {
  const path = `/jobs/${encodeURIComponent(job.id)}`;
  return new Promise((resolve, reject) => {
    const events = new EventSource(`${ROOT}${path}/events`);
    let failures = 0;
    const seen = told => {
      failures = 0;
      onProgress(told);
      if (isOver(told)) {
        events.close();
        resolve(told);
      }
      return isOver(told);
    };
    const poll = async () => {
      try {
        if (seen(await json(path))) {
          return;
        }
      } catch (error) {
        failures += 1;
        if (error.status === 404 || failures > POLLS_TO_GIVE_UP) {
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

/** Gzip, as a Blob to send. */
async function gzip(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))).blob();
}

async function gunzip(bytes) {
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

function toBase64(bytes) {
  const parts = [];
  for (let start = 0; start < bytes.length; start += 0x8000) {
    parts.push(String.fromCharCode(...bytes.subarray(start, start + 0x8000)));
  }
  return btoa(parts.join(''));
}

const fromBase64 = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
