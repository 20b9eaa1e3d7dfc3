/** The report of a study: languages side by side, key images and numbers, edited, approved, signed. */
import * as api from './api.js';
import { h, mL, shown, signed, when } from './dom.js';

const study = new URLSearchParams(location.search).get('study') ?? '';
const page = /** @type {HTMLElement} */ (document.getElementById('report'));
const NAME = 'braintumor.annotator'; // the panel's own key: one name for both
/** @type {Record<string, string>} */
const ARROWS = { grown: '↑', shrunk: '↓', unchanged: '=' };
/** @type {Record<string, string>} */
const STAGES = { study: 'Reading the study', case: 'Preparing the images', engine: 'Loading the model', segment: 'Segmenting', measure: 'Measuring', compare: 'Comparing with earlier visits', report: 'Writing the report', archive: 'Storing in the archive' };

/** @type {api.Problem | null} */
let problem = null;
let busy = '';

/** @type {(language: string, section: string) => string} */
const kept = (language, section) => `braintumor.report.${study}.${language}.${section}`;
const annotator = () => localStorage.getItem(NAME) ?? '';

/**
 * Run an action; what fails is said at the top, and nothing typed is lost.
 *
 * @param {string} words
 * @param {() => Promise<Api.Report | void>} action
 */
async function attempt(words, action) {
  busy = words;
  problem = null;
  try {
    const after = await action();
    busy = '';
    show(after ?? (await api.report(study)));
  } catch (error) {
    busy = '';
    problem = api.asProblem(error);
    if (problem.code === 'input-not-found' && !page.querySelector('header')) {
      empty();
    } else {
      say();
    }
  }
}

function say() {
  const box = page.querySelector('.said');
  if (!box) {
    page.replaceChildren(h('div', { className: 'said' }));
    return say();
  }
  box.replaceChildren(
    ...(busy ? [h('p', { className: 'muted' }, busy)] : []),
    ...(problem
      ? [h('div', { className: 'problem', role: 'alert' }, h('p', {}, h('strong', {}, problem.title)), h('p', {}, problem.detail), h('p', { className: 'muted' }, problem.remedy))]
      : [])
  );
}

/** There is no report yet. */
function empty() {
  page.replaceChildren(
    h('header', {}, h('h1', {}, 'Report')),
    h('div', { className: 'said' }),
    h('p', { className: 'waiting' }, 'This study has no report yet. '),
    h('button', { className: 'primary', onclick: make }, 'Make report')
  );
}

const make = () =>
  attempt('Making the report …', async () => {
    say();
    await api.follow(await api.makeReport(study), ({ stage }) => {
      busy = `${STAGES[stage] ?? 'Waiting for its turn'} …`;
      say();
    });
  });

/** @param {Api.Report} report */
function show(report) {
  const isDraft = report.status === 'draft';
  document.title = `Report, ${isDraft ? 'draft' : 'final'} ${report.version}`;
  page.replaceChildren(
    header(report, isDraft),
    h('div', { className: 'said' }),
    h('div', { className: 'layout' }, side(report), h('div', {}, ...warnings(report), ...ordered(report.sections).map(section => part(report, section, isDraft)), history(report))),
    h('footer', {}, 'Research use only. Not a medical device.')
  );
  say();
}

/** @param {Api.Section} section */
const isImpression = section => section.name === 'impression';

/**
 * What the reader came for is on top.
 *
 * @param {Api.Section[]} sections
 */
const ordered = sections => [...sections].sort((one, other) => Number(isImpression(other)) - Number(isImpression(one)));

/** @param {Api.Report} report @param {boolean} isDraft */
function header(report, isDraft) {
  const { patient, approved, version } = report;
  const status = isDraft ? `Draft, version ${version}: not approved` : `Final, version ${version}: approved by ${approved.by}, ${when(approved.when)}`;
  const who = [patient.name, patient.id, report.study_date].filter(Boolean).join(' · ');
  /** @type {HTMLInputElement} */
  const by = h('input', { type: 'text', value: annotator(), placeholder: 'Your name', 'aria-label': 'Your name', maxLength: 64, oninput: () => localStorage.setItem(NAME, by.value) });
  /** @param {(by: string) => unknown} action */
  const named = action => () => {
    if (!by.value.trim()) {
      by.focus();
      problem = new api.Problem({ title: 'Your name is missing', detail: 'It stands in the history of the report.', remedy: 'Type it beside the buttons, then try again.' });
      return say();
    }
    return action(by.value.trim());
  };
  return h(
    'header',
    {},
    h('div', { className: 'who' }, h('h1', {}, 'Brain tumour MRI report'), h('p', {}, who || 'No patient data'), h('span', { className: `status ${report.status}` }, status)),
    h(
      'div',
      { className: 'actions' },
      by,
      !report.fresh && h('button', { onclick: make, title: 'A mask or an image has changed since' }, 'Make again from the new mask'),
      h('a', { className: 'button', href: api.reportPdf(study), target: '_blank', rel: 'noopener' }, 'PDF'),
      isDraft && h('button', { className: 'primary', onclick: named(given => approve(report, given)) }, 'Approve and sign'),
      !isDraft && h('button', { onclick: named(amend) }, 'Amend'),
      !isDraft && report.sendable && h('button', { onclick: send }, 'Send to the record'),
      !isDraft && h('button', { onclick: archive }, 'Store in the archive')
    )
  );
}

/** @param {Api.Report} report @param {string} by */
function approve(report, by) {
  const open = document.querySelector('textarea');
  if (open) {
    problem = new api.Problem({ title: 'A section is still being edited', remedy: 'Save or discard it first: what is approved is what is saved.' });
    say();
    return open.focus();
  }
  const alone = report.sections.filter(({ edited_alone }) => edited_alone.length).map(({ titles }) => Object.values(titles)[0]);
  const warning = alone.length ? `\n\nChanged in one language only: ${alone.join(', ')}. The report says so.` : '';
  if (confirm(`Approve version ${report.version} and sign it? A final report cannot be changed, only amended.${warning}`)) {
    attempt('Signing …', () => api.approveReport(study, { version: report.version, by }));
  }
}

/** @param {string} by */
function amend(by) {
  const reason = prompt('Why is the report amended?');
  if (reason?.trim()) {
    attempt('Starting a new draft …', () => api.amendReport(study, { by, reason: reason.trim() }));
  }
}

const archive = () =>
  attempt('Storing in the archive …', async () => {
    say();
    await api.follow(await api.archiveReport(study), () => {});
  });

const send = () =>
  attempt('Sending to the record …', async () => {
    say();
    await api.follow(await api.sendReport(study), () => {});
  });

/**
 * What to check first, one column per language; a message of a report of an old version is in English only.
 * @param {Api.Report} report
 */
function warnings({ flags, languages }) {
  /** @param {Api.Flag} flag @param {string} code */
  const words = ({ message, messages = {} }, code) => {
    const text = messages[code] ?? message;
    return h('p', { lang: text === message ? 'en' : code }, text);
  };
  return flags
    .filter(({ severity }) => severity !== 'info')
    .map(flag => h('div', { className: `note columns ${flag.severity}` }, ...languages.map(({ code }) => words(flag, code))));
}

/** @param {Api.Report} report */
function side(report) {
  const first = report.pictures.filter(({ name }) => name === 'sequences' || name === 'diameters');
  return h(
    'aside',
    {},
    numbers(report.regions),
    ...first.map(({ name, caption }) => h('figure', {}, h('img', { src: api.reportPicture(study, name, report.version), alt: caption }), h('figcaption', {}, caption)))
  );
}

/** @param {Api.ReportRegion[]} regions */
function numbers(regions) {
  const compared = regions.some(({ prior_ml }) => prior_ml !== null);
  const head = compared ? ['', 'Prior mL', 'Now mL', 'Change'] : ['', 'mL'];
  /** @param {Api.ReportRegion} region */
  const changed = ({ change_ml, change_percent, direction }) =>
    change_ml === null ? '–' : `${ARROWS[direction]} ${signed(change_ml)}${change_percent === null ? '' : ` (${signed(change_percent, 0)} %)`}`;
  /** @param {Api.ReportRegion} region */
  const row = region => [...(compared ? [mL(region.prior_ml)] : []), mL(region.ml), ...(compared ? [changed(region)] : [])];
  return h(
    'table',
    {},
    h('thead', {}, h('tr', {}, ...head.map(word => h('th', { scope: 'col' }, word)))),
    h('tbody', {}, ...regions.map(region => h('tr', {}, h('th', { scope: 'row' }, region.title), ...row(region).map(word => h('td', {}, word)))))
  );
}

/** @param {Api.Report} report @param {Api.Section} section @param {boolean} isDraft */
function part(report, section, isDraft) {
  const cells = report.languages.map(language => cell(report, section, language, isDraft));
  const alone = section.edited_alone.flatMap(code => report.languages.filter(one => one.code === code)).map(({ name }) => name);
  return h(
    'section',
    { className: `part ${section.name}` },
    h('div', { className: 'columns' }, ...cells),
    alone.length > 0 && h('p', { className: 'muted' }, `A person changed this section in ${alone.join(', ')} only.`)
  );
}

/** @param {Api.Report} report @param {Api.Section} section @param {Api.Language} language @param {boolean} isDraft */
function cell(report, section, { code }, isDraft) {
  const lines = section.lines[code] ?? [];
  const text = lines.map(line => line.text).join('\n');
  const key = kept(code, section.name);
  const box = h('div', {}, ...lines.map(line => h('p', { className: line.origin }, line.text)));
  /** @type {HTMLTextAreaElement} */
  const area = h('textarea', { value: localStorage.getItem(key) ?? text, spellcheck: true, lang: code, 'aria-label': section.titles[code], oninput: () => localStorage.setItem(key, area.value) });
  const save = h('button', { className: 'primary', onclick: () => saved() }, 'Save');
  const discard = h('button', { onclick: () => { localStorage.removeItem(key); area.value = text; open(false); } }, 'Discard');
  const editor = h('div', {}, area, h('div', { className: 'actions' }, save, discard));
  const edit = h('button', { className: 'quiet', 'aria-label': `Edit ${section.titles[code]}`, onclick: () => open(true) }, 'Edit');
  const element = h('div', { className: 'cell', lang: code }, h('div', { className: 'title' }, h('h2', {}, section.titles[code]), isDraft && edit), box);
  /** @param {boolean} isOpen */
  function open(isOpen) {
    shown(box, !isOpen);
    shown(edit, !isOpen);
    if (isOpen) {
      element.append(editor);
      area.focus();
    } else {
      editor.remove();
    }
  }
  async function saved() {
    const by = annotator().trim();
    if (!by) {
      /** @type {HTMLInputElement | null} */
      const field = document.querySelector('header input');
      field?.focus();
      problem = new api.Problem({ title: 'Your name is missing', detail: 'It stands in the history of the report.', remedy: 'Type it at the top, then save.' });
      return say();
    }
    await attempt('Saving …', async () => {
      const after = await api.editReport(study, code, section.name, { version: report.version, by, lines: area.value.split('\n') });
      localStorage.removeItem(key); // only now that the server has it
      return after;
    });
  }
  if (isDraft && localStorage.getItem(key) !== null) {
    open(true); // typed before, and never confirmed by the server
  }
  return element;
}

/** @param {Api.Report} report */
function history(report) {
  const rows = report.history.map(({ when: at, action, who, detail }) => h('tr', {}, ...[when(at), action, who, detail].map(word => h('td', {}, word))));
  return h('details', {}, h('summary', {}, `History (${rows.length})`), h('table', { className: 'history' }, h('tbody', {}, ...rows)));
}

addEventListener('beforeunload', event => {
  if (document.querySelector('textarea')) {
    event.preventDefault();
  }
});
attempt('', async () => {});
