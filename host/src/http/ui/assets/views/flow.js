// What came in and went out in the last 15 minutes.

import { h } from '../dom.js';
import { Charts } from '../charts.js';
import { bytes, count, duration, rate } from '../format.js';
import { merged, milliseconds, nodesOf } from '../history.js';

/** Distances of lines in plots of bytes. */
const POWERS = Array.from({ length: 44 }, (_, at) => 2 ** at);

export function flowView(app) {
  const charts = new Charts();
  const { api } = app;
  const state = { document: null, error: null, node: '' };
  return {
    every: 2000,
    load: async (signal) => {
      state.document = await api.get('../api/v1/cluster/history', signal);
      state.error = null;
    },
    failed: (error) => { state.error = error; },
    render: () => [heading(state, app), plots(state, charts)],
    stop: () => charts.stop(),
  };
}

function heading(state, app) {
  const names = state.document?.nodes.map(({ node }) => node) ?? [];
  const silent = state.document?.nodes.filter(({ error }) => error) ?? [];
  return [
    h('div', { class: 'head', key: 'head' },
      h('div', null, h('h1', null, 'Flow'), h('p', null, 'The last 15 minutes, as the nodes keep them in memory')),
      h('label', { class: 'field' }, h('span', { class: 'unseen' }, 'Node'), h('select', {
        value: state.node, on: { change: (event) => { state.node = event.target.value; app.refresh(); } },
      }, h('option', { value: '' }, 'All nodes'), names.map((name) => h('option', { value: name, key: name }, name))))),
    state.document && state.error && h('p', { class: 'card problems', key: 'failure', role: 'status' },
      `${state.error.message}. What is shown is older.`),
    silent.length > 0 && h('p', { class: 'card problems', key: 'silent', role: 'status' },
      silent.map(({ node, error }) => `${node} is left out: ${error}`).join('; ')),
  ];
}

const delivered = (history) => ({
  'by the sink': history.records_out, 'offered again': history.retried, 'dead letters': history.dead_lettered,
});
const records = (history) => ({ 'in the queue': history.queue_records, 'in the journal': history.journal_records });
const sizes = (history) => ({ 'in the queue': history.queue_bytes, 'in the journal': history.journal_bytes });
const writes = (history) => milliseconds(history.write_seconds);
const acknowledgements = (history) => milliseconds(history.acknowledge_seconds);
const largest = (one, other) => Math.max(one, other);

/** By protocol; if none was used, a line at zero. */
function received(nodes) {
  const model = merged(nodes, (history) => history.records_in);
  const none = { name: 'none', values: model.times.map(() => 0) };
  return model.series.length > 0 ? model : { ...model, series: [none] };
}

function plots(state, charts) {
  if (!state.document) {
    return h('p', { class: 'card empty', key: 'none' }, state.error ? state.error.message : 'Asking the nodes…');
  }
  const all = nodesOf(state.document);
  const nodes = state.node ? all.filter(({ node }) => node === state.node) : all;
  if (nodes.length === 0) {
    return h('p', { class: 'card empty', key: 'none' }, 'No samples yet. The first one comes within 5 seconds.');
  }
  const figures = [
    ['in', 'Received', 'records acknowledged per second, by protocol', rate, received(nodes)],
    ['outcomes', 'Answers', 'records per second, by outcome', rate, merged(nodes, ({ outcomes }) => outcomes)],
    ['out', 'Delivered', 'records per second', rate, merged(nodes, delivered)],
    ['records', 'Waiting', 'records', count, merged(nodes, records)],
    ['bytes', 'Waiting', 'bytes', bytes, merged(nodes, sizes), POWERS],
    ['writes', 'Write latency', 'of the sink', duration, merged(nodes, writes, largest)],
    ['acks', 'Time to acknowledgement', 'from the receipt', duration, merged(nodes, acknowledgements, largest)],
  ];
  return h('div', { class: 'plots', key: 'plots' }, figures
    .filter(([,,,, model]) => model.series.length > 0)
    .map(([id, title, unit, format, model, steps]) => charts.figure({ id, title, unit, format, model, steps })));
}
