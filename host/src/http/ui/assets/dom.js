// A small virtual DOM: views describe what should be there, and only what
// differs is changed, so that focus, selection and scrolling stay.
//
// Texts become text nodes, never HTML.

const SVG_NAMESPACE = 'http://www.w3.org/2000/svg';
const SVG_TAGS = new Set(['svg', 'path', 'line', 'rect', 'circle', 'g']);
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'hidden', 'indeterminate', 'open']);

/**
 * Describes an element. `props` are attributes, and besides them:
 * `on` handlers by event, `style` CSS properties (set by the CSSOM, which the
 * page's policy allows), `key` the identity among siblings, `own` a function
 * that fills the element once and keeps it.
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: children.flat(Infinity).filter(isSomething) };
}

function isSomething(child) {
  return child !== null && child !== undefined && child !== false && child !== '';
}

/** Makes `parent` hold what is described. */
export function render(parent, ...children) {
  patchChildren(parent, children.flat(Infinity).filter(isSomething));
}

function patchChildren(parent, wanted) {
  const keyed = new Map();
  for (const node of parent.childNodes) {
    if (node.sluiceKey !== undefined) keyed.set(node.sluiceKey, node);
  }
  let place = parent.firstChild;
  for (const child of wanted) {
    const key = child.props?.key;
    let node = key === undefined ? place : keyed.get(key) ?? place;
    if (!fits(node, child)) {
      node = create(child);
      parent.insertBefore(node, place);
    } else if (node !== place) {
      parent.insertBefore(node, place);
    } else {
      place = place.nextSibling;
    }
    update(node, child);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function fits(node, child) {
  if (!node) return false;
  if (typeof child !== 'object') return node.nodeType === Node.TEXT_NODE;
  return node.nodeType === Node.ELEMENT_NODE && node.sluiceTag === child.tag
    && node.sluiceKey === child.props.key;
}

function create(child) {
  if (typeof child !== 'object') return document.createTextNode(String(child));
  const node = SVG_TAGS.has(child.tag)
    ? document.createElementNS(SVG_NAMESPACE, child.tag)
    : document.createElement(child.tag);
  node.sluiceTag = child.tag;
  node.sluiceKey = child.props.key;
  node.sluiceProps = {};
  node.sluiceHandlers = {};
  if (child.props.own) child.props.own(node);
  return node;
}

function update(node, child) {
  if (typeof child !== 'object') {
    const text = String(child);
    if (node.data !== text) node.data = text;
    return;
  }
  const before = node.sluiceProps;
  const now = child.props;
  for (const name of Object.keys(before)) {
    if (!(name in now)) setProp(node, name, undefined, before[name]);
  }
  for (const [name, value] of Object.entries(now)) setProp(node, name, value, before[name]);
  node.sluiceProps = now;
  if (!now.own) patchChildren(node, child.children);
  // A select shows its value only once it has its options.
  if (child.tag === 'select' && 'value' in now && node.value !== now.value) node.value = now.value;
}

function setProp(node, name, value, before) {
  if (name === 'key' || name === 'own') return;
  if (name === 'on') return setHandlers(node, value ?? {});
  if (name === 'style') return setStyle(node, value ?? {}, before ?? {});
  if (PROPERTIES.has(name) && node.sluiceTag !== 'option') {
    const wanted = value ?? (name === 'value' ? '' : false);
    if (node[name] !== wanted) node[name] = wanted;
  } else if (value === undefined || value === null || value === false) {
    node.removeAttribute(name);
  } else if (value !== before) {
    node.setAttribute(name, value === true ? '' : String(value));
  }
}

function setHandlers(node, handlers) {
  for (const event of Object.keys(handlers)) {
    if (!(event in node.sluiceHandlers)) {
      node.addEventListener(event, (given) => node.sluiceHandlers[event]?.(given));
    }
  }
  for (const event of Object.keys(node.sluiceHandlers)) node.sluiceHandlers[event] = null;
  Object.assign(node.sluiceHandlers, handlers);
}

function setStyle(node, style, before) {
  for (const name of Object.keys(before)) {
    if (!(name in style)) node.style.removeProperty(name);
  }
  for (const [name, value] of Object.entries(style)) {
    if (before[name] !== value) node.style.setProperty(name, value);
  }
}

/**
 * A table. `columns` are `{ name, number, heads, kind }` (`kind`: a class of the
 * cells), `rows` are `{ key, cells, class }` or `{ key, wide }`.
 * The roles stay when a narrow screen shows the rows as cards.
 */
export function table(label, columns, rows, extra) {
  const head = columns.map(({ name, number, content }) => h('th',
    { scope: 'col', role: 'columnheader', class: number ? 'number' : null }, content ?? name));
  return h('div', { class: 'scroller', role: 'region', 'aria-label': label, tabindex: '0' },
    h('table', { role: 'table', class: extra?.class ?? null },
      h('caption', { class: 'unseen' }, label),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, head)),
      h('tbody', { role: 'rowgroup' }, rows.map((row) => tableRow(columns, row)))));
}

function tableRow(columns, row) {
  if (row.wide) {
    return h('tr', { role: 'row', key: row.key, class: 'wide' },
      h('td', { role: 'cell', colspan: columns.length }, row.wide));
  }
  const cells = row.cells.map((cell, at) => {
    const { name, number, heads, kind } = columns[at];
    const props = {
      class: number ? 'number' : kind ?? null,
      'data-label': name || null,
      role: heads ? 'rowheader' : 'cell',
    };
    if (heads) props.scope = 'row';
    return h(heads ? 'th' : 'td', props, cell);
  });
  return h('tr', { role: 'row', key: row.key, class: row.class ?? null }, cells);
}

/** A word in a coloured frame. The sign says the same as the colour. */
export function chip(kind, text) {
  const sign = { good: '●', warn: '▲', bad: '■', calm: '○', info: '◆' }[kind];
  return h('span', { class: `chip ${kind}` },
    h('span', { class: 'sign', 'aria-hidden': 'true' }, sign), text);
}

/** Says something to screen readers. */
export function say(text) {
  document.getElementById('said').textContent = text;
}
