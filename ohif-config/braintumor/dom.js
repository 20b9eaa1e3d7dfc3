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

/** A volume for people: one decimal, two below 1 mL. */
export const mL = value => (value === null || value === undefined ? '–' : value.toFixed(value < 1 && value > 0 ? 2 : 1));

/** Date and time for people, in their own notation. */
export function when(iso) {
  if (!iso) {
    return '';
  }
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}
