/** Small helpers to build elements; no framework. */

/**
 * An element with properties and children. `on…` are listeners; `class`, `data-…`, `aria-…` and the like are attributes.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) {
      continue;
    }
    if (name.startsWith('on')) {
      element.addEventListener(name.slice(2), value);
    } else if (name in element && !name.includes('-') && name !== 'list') {
      element[name] = value;
    } else if (value !== null && value !== false) {
      element.setAttribute(name === 'className' ? 'class' : name, value === true ? '' : value);
    }
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** An SVG element with attributes. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  element.append(...children);
  return element;
}

/** A section of the panel: a bar with its name, and a body. A closed one is opened by a click or by Enter. */
export function section(title, { open = true, id } = {}, ...children) {
  const body = h('div', { className: 'body' }, ...children);
  const summary = h('summary', {}, h('span', {}, title));
  const element = h('details', { open, id, className: 'section' }, summary, body);
  return { element, body, summary };
}

/** Show or hide. */
export function shown(element, isShown) {
  element.hidden = !isShown;
}

/** A number with so many decimals, rounded as the report does: a half to the even digit, where toFixed goes up. */
export function fixed(value, digits) {
  const text = value.toFixed(digits);
  const isHalf = Math.abs(value * 2 ** (digits + 1)) % 2 === 1; // only such binary numbers lie exactly between two decimal ones
  return isHalf && Number(text.at(-1)) % 2 ? (Number(text) - Math.sign(value) * 10 ** -digits).toFixed(digits) : text;
}

/** A change for people: with its sign, unless it rounds to nothing. */
export function signed(value, digits = 1) {
  const text = fixed(Math.abs(value), digits);
  return `${Number(text) === 0 ? '' : value > 0 ? '+' : '−'}${text}`;
}

const digitsOf = ml => (ml !== 0 && Math.abs(ml) < 1 ? 2 : 1);

/** A volume for people: one decimal, two below 1 mL. */
export const mL = value => (value === null || value === undefined ? '–' : fixed(value, digitsOf(value)));

/** A change of volume for people, as exact as the volume. */
export const signedML = value => signed(value, digitsOf(value));

/** What was added, removed and given another label, in mL, for people; what is nothing is left out. */
export function edits(added, removed, changed) {
  const relabelled = changed - added - removed;
  const parts = [added > 0 && `+${mL(added)} mL`, removed > 0 && `−${mL(removed)} mL`, relabelled >= 0.005 && `${mL(relabelled)} mL relabelled`];
  return parts.filter(Boolean).join(', ') || 'nothing changed';
}

/** Date and time for people, in their own notation. */
export function when(iso) {
  if (!iso) {
    return '';
  }
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}
