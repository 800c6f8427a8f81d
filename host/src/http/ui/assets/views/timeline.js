// Who led when: a lane for each node, a bar for each epoch.

import { h, table } from '../dom.js';
import { count, duration, time } from '../format.js';

const SPANS = [[15, '15 min'], [60, '1 h'], [1440, '1 day']];

/** The tenures with their ends, oldest first. */
function tenures(cluster, now) {
  const sorted = [...cluster.tenures].sort((one, other) => one.epoch - other.epoch);
  return sorted.map((tenure, at) => {
    const next = sorted[at + 1];
    const ends = [tenure.until, next?.since].filter(Boolean).map((text) => Date.parse(text));
    const isNow = ends.length === 0;
    return { ...tenure, from: Date.parse(tenure.since), to: isNow ? now : Math.min(...ends), isNow };
  });
}

export function timeline(cluster, span, refresh) {
  const now = Date.parse(cluster.at);
  const all = tenures(cluster, now);
  const start = now - span.minutes * 60_000;
  const names = [...new Set([...cluster.nodes.map(({ node }) => node), ...all.map(({ node }) => node)])].sort();
  return h('section', { class: 'card', 'aria-labelledby': 'tenures', key: 'timeline' },
    h('header', null, h('h2', { id: 'tenures' }, 'Who led when'), spans(span, refresh)),
    h('div', { class: 'timeline', 'aria-hidden': 'true' },
      names.map((name) => lane(name, all.filter(({ node }) => node === name), start, now)),
      axis(start, now)),
    h('details', null, h('summary', null, 'As a table'), asTable(all)));
}

function spans(span, refresh) {
  return h('div', { class: 'segments', role: 'group', 'aria-label': 'Time shown' }, SPANS.map(([minutes, name]) => h('button', {
    type: 'button', 'aria-pressed': String(span.minutes === minutes),
    on: { click: () => { span.minutes = minutes; refresh(); } },
  }, name)));
}

function lane(name, own, start, now) {
  const bars = own.filter(({ to }) => to > start).map((tenure) => {
    const left = Math.max(0, (tenure.from - start) / (now - start)) * 100;
    const width = (tenure.to - Math.max(tenure.from, start)) / (now - start) * 100;
    return h('div', {
      key: String(tenure.epoch),
      class: `tenure${tenure.isNow ? ' now' : ''}${width < 2.5 ? ' thin' : ''}`,
      title: `epoch ${tenure.epoch}, from ${time(tenure.since)}, ${duration(tenure.to - tenure.from)}`,
      style: { left: `${Math.min(left, 99.6).toFixed(2)}%`, width: `${Math.max(width, 0.4).toFixed(2)}%` },
    }, width < 2.5 ? '' : [width > 12 && h('span', { class: 'word' }, 'epoch '), String(tenure.epoch)]);
  });
  return h('div', { class: 'lane', key: name }, h('span', null, name), h('div', { class: 'track' }, bars));
}

function axis(start, now) {
  const short = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });
  const marks = [0, 0.25, 0.5, 0.75, 1];
  return h('div', { class: 'axis' }, marks.map((part) => h('span', {
    style: { left: `${part * 100}%` },
  }, part === 1 ? 'now' : short.format(new Date(start + part * (now - start))))));
}

function asTable(all) {
  const columns = [{ name: 'Epoch', heads: true }, { name: 'Node' }, { name: 'From' }, { name: 'For', number: true }];
  const rows = [...all].reverse().map((tenure) => ({
    key: String(tenure.epoch),
    cells: [count(tenure.epoch), tenure.node, time(tenure.since), duration(tenure.to - tenure.from) + (tenure.isNow ? ', so far' : '')],
  }));
  if (rows.length === 0) return h('p', { class: 'empty' }, 'No node has led since these nodes started.');
  return table('Epochs, the latest first', columns, rows);
}
