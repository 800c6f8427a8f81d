// The streams of the cluster, as a part of its view.

import { chip, h, table } from '../dom.js';
import { bytes, count, plural, shortSource } from '../format.js';
import { linkTo } from '../place.js';
import { problemsOf } from '../problems.js';

const COLUMNS = [
  { name: 'Stream', heads: true, kind: 'nowrap' }, { name: 'Leader', kind: 'nowrap' }, { name: 'Epoch', number: true }, { name: 'Sink' },
  { name: 'Queue', number: true }, { name: 'Unsettled', number: true }, { name: 'Health' },
];

/** The most sentences that are shown of one stream. */
const MOST_SENTENCES = 3;

/** What is wrong with a stream. */
function wrongWith({ leader, statuses }) {
  return problemsOf({ leader, nodes: statuses.map((status) => ({ node: status.node, status })) });
}

export function streamsCard({ streams, errors }, app) {
  const all = streams.map((row) => ({ row, wrong: wrongWith(row) }));
  const bad = all.filter(({ wrong }) => wrong.length > 0);
  const rows = [...bad, ...all.filter(({ wrong }) => wrong.length === 0)].map(({ row, wrong }) => ({
    key: row.name, class: row.name === app.stream ? 'selected' : null, cells: cells(row, wrong, app),
  }));
  return h('section', { class: 'card', key: 'streams', 'aria-labelledby': 'streams' },
    h('header', null, h('h2', { id: 'streams' }, 'Streams'), h('span', { class: 'muted small' },
      `${plural(all.length, 'stream', 'streams')}, ${bad.length === 0 ? 'no problems'
        : plural(bad.length, 'with a problem', 'with problems')}`)),
    errors.length > 0 && h('p', { class: 'problems', role: 'status' },
      errors.map(({ node, error }) => `${node} is left out: ${error}`).join('; ')),
    table('Streams', COLUMNS, rows));
}

function cells(row, wrong, app) {
  const { name, leader, tenure, sink, able, statuses } = row;
  const leading = statuses.find(({ role }) => role === 'leader');
  const kept = statuses.filter(({ journal }) => journal);
  const sum = (of) => kept.reduce((total, { journal }) => total + of(journal), 0);
  return [
    h('a', { href: linkTo('cluster', name), 'aria-current': name === app.stream ? 'true' : null }, name),
    [leader?.node ?? 'none', able.length < row.nodes && h('small', null, `${count(able.length)} of ${count(row.nodes)} able`)],
    count(tenure),
    h('span', { title: sink?.source }, shortSource(sink?.source)),
    leading ? amount(leading.queue.records, leading.queue.bytes) : '–',
    kept.length > 0 ? amount(sum(({ records }) => records), sum((journal) => journal.bytes)) : '–',
    health(row, wrong),
  ];
}

/** Records, and their bytes if there are any. */
function amount(records, size) {
  return [count(records), records > 0 && h('small', null, bytes(size))];
}

function health({ leader, statuses }, wrong) {
  if (wrong.length > 0) {
    // The first one says that nobody leads.
    const sentences = leader ? wrong : wrong.slice(1);
    const more = sentences.length - MOST_SENTENCES;
    return [
      leader ? chip('warn', 'problem') : chip('bad', 'no leader'),
      sentences.slice(0, MOST_SENTENCES).map((text) => h('small', { class: 'break' }, text)),
      more > 0 && h('small', null, `and ${count(more)} more`),
    ];
  }
  const isKnown = statuses.some(({ role }) => role === 'leader');
  return isKnown ? chip('good', 'healthy') : chip('calm', 'unknown');
}
