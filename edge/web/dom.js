// Building and updating elements.
//
// Invariant: text from people only ever becomes text nodes or checked attributes, never markup.
// Left out: any knowledge of chat.

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
  plus: 'M12 5v14M5 12h14',
  sliders: 'M13.5 7a2.5 2.5 0 1 0 5 0 2.5 2.5 0 0 0-5 0zM4 7h9.5M18.5 7H20'
    + 'M5.5 17a2.5 2.5 0 1 0 5 0 2.5 2.5 0 0 0-5 0zM10.5 17H20M4 17h1.5',
  back: 'M15 5l-7 7 7 7',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.4-3.6 3-6 6.5-6s6.1 2.4 6.5 6'
    + 'M16 4.4a3.5 3.5 0 0 1 0 6.2M18 14.4c2 .9 3.3 2.9 3.5 5.6',
  pencil: 'M4 20l1-4L16.5 4.5l3 3L8 19l-4 1z',
  trash: 'M5 7h14M10 4h4M7 7l1 13h8l1-13M10 11v5M14 11v5',
  send: 'M4 12L20 4l-5 16-3.5-6.5L4 12zM11.5 13.5L20 4',
  close: 'M6 6l12 12M18 6L6 18',
  leave: 'M10 4H5v16h5M10 12h10M16.5 8.5L20 12l-3.5 3.5',
  message: 'M4 5h16v11H10l-4 4v-4H4z',
  down: 'M12 5v14M6 13l6 6 6-6',
};

/**
 * An element. `props`: class, testid, data (object), on (event handlers), anything else is set as
 * a property; children are elements, strings or null.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  const { class: className, testid, data, on, label, ...rest } = props;
  if (className) element.className = className;
  if (testid) element.dataset.testid = testid;
  if (label) element.setAttribute('aria-label', label);
  Object.assign(element.dataset, data);
  Object.assign(element, rest);
  for (const [type, handler] of Object.entries(on ?? {})) element.addEventListener(type, handler);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon and says what it does. */
export function iconButton(name, label, testid, click, extra = '') {
  return h('button', { type: 'button', class: `icon-button ${extra}`, label, title: label, testid,
    on: { click } }, icon(name));
}

export function field(label, input, hint = null) {
  return h('label', { class: 'field' }, h('span', { class: 'field-label' }, label), input,
    hint && h('span', { class: 'hint' }, hint));
}

const lists = new WeakMap();

/**
 * Makes the children of `parent` show `rows` ({key, stamp, ...}) in order. A row whose stamp is the
 * one shown keeps its element; any other is made anew.
 */
export function syncList(parent, rows, make) {
  const held = lists.get(parent) ?? new Map();
  const shown = new Map();
  let place = parent.firstChild;
  for (const row of rows) {
    let entry = held.get(row.key);
    if (entry && entry.stamp !== row.stamp) {
      const node = make(row);
      if (place === entry.node) place = node;
      entry.node.replaceWith(node);
      entry = { stamp: row.stamp, node };
    }
    entry ??= { stamp: row.stamp, node: make(row) };
    shown.set(row.key, entry);
    held.delete(row.key);
    if (entry.node === place) place = place.nextSibling;
    else parent.insertBefore(entry.node, place);
  }
  for (const { node } of held.values()) node.remove();
  lists.set(parent, shown);
}

/** Sets text only where it changed, so that a screen reader is not told twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}
