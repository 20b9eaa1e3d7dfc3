/** Small helpers to build elements; no framework. */

/**
 * An element with properties and children. `on…` are listeners; `class`, `data-…`, `aria-…` and the like are attributes.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties<Tag>} properties
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .forEach(([name, value]) => assign(element, name, value));
  element.append(...children.flatMap(child => (child === null || child === undefined || child === false ? [] : [nodeOf(child)])));
  return element;
}

/** @param {Node | string | number} child */
const nodeOf = child => (child instanceof Node ? child : String(child));

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {unknown} value
 */
function assign(element, name, value) {
  if (name.startsWith('on')) {
    element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
  } else if (name in element && !name.includes('-') && name !== 'list') {
    Object.assign(element, { [name]: value });
  } else if (value !== null && value !== false) {
    element.setAttribute(name === 'className' ? 'class' : name, value === true ? '' : String(value));
  }
}

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An SVG element with attributes.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {Node[]} children
 */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, String(value)));
  element.append(...children);
  return element;
}

/**
 * A section of the panel: a bar with its name, and a body. A closed one is opened by a click or by Enter.
 *
 * @param {string} title
 * @param {{open?: boolean, id?: string}} properties
 * @param {Child[]} children
 */
export function section(title, { open = true, id }, ...children) {
  const body = h('div', { className: 'body' }, ...children);
  const summary = h('summary', {}, h('span', {}, title));
  const element = h('details', { open, id, className: 'section' }, summary, body);
  return { element, body, summary };
}

/**
 * Show or hide.
 *
 * @param {HTMLElement} element
 * @param {boolean} isShown
 */
export function shown(element, isShown) {
  element.hidden = !isShown;
}

/**
 * A number with so many decimals, rounded as the report does: a half to the even digit, where toFixed goes up.
 *
 * @param {number} value
 * @param {number} digits
 */
export function fixed(value, digits) {
  const text = value.toFixed(digits);
  const isHalf = Math.abs(value * 2 ** (digits + 1)) % 2 === 1; // only such binary numbers lie exactly between two decimal ones
  return isHalf && Number(text.at(-1)) % 2 ? (Number(text) - Math.sign(value) * 10 ** -digits).toFixed(digits) : text;
}

/**
 * A change for people: with its sign, unless it rounds to nothing.
 *
 * @param {number} value
 * @param {number} digits
 */
export function signed(value, digits = 1) {
  const text = fixed(Math.abs(value), digits);
  return `${Number(text) === 0 ? '' : value > 0 ? '+' : '−'}${text}`;
}

/** @param {number} ml */
const digitsOf = ml => (ml !== 0 && Math.abs(ml) < 1 ? 2 : 1);

/**
 * A volume for people: one decimal, two below 1 mL.
 *
 * @param {number | null | undefined} value
 */
export const mL = value => (value === null || value === undefined ? '–' : fixed(value, digitsOf(value)));

/**
 * A change of volume for people, as exact as the volume.
 *
 * @param {number} value
 */
export const signedML = value => signed(value, digitsOf(value));

/**
 * What was added, removed and given another label, in mL, for people; what is nothing is left out.
 *
 * @param {number} added
 * @param {number} removed
 * @param {number} changed
 */
export function edits(added, removed, changed) {
  const relabelled = changed - added - removed;
  const parts = [added > 0 && `+${mL(added)} mL`, removed > 0 && `−${mL(removed)} mL`, relabelled >= 0.005 && `${mL(relabelled)} mL relabelled`];
  return parts.filter(Boolean).join(', ') || 'nothing changed';
}

/**
 * Date and time for people, in their own notation.
 *
 * @param {string | null | undefined} iso
 */
export function when(iso) {
  if (!iso) {
    return '';
  }
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}
