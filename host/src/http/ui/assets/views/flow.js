// What came in and went out in the last 15 minutes.

import { h } from '../dom.js';
import { get } from '../api.js';
import { Charts } from '../charts.js';
import { bytes, count, duration, rate } from '../format.js';
import { merged, nodesOf } from '../history.js';

/** Distances of lines in plots of bytes. */
const POWERS = Array.from({ length: 44 }, (_, at) => 2 ** at);

export function flowView() {
  const charts = new Charts();
  const state = { document: null, error: null, node: '' };
  return {
    every: 2000,
    load: async (signal) => {
      state.document = await get('../api/v1/cluster/history', signal);
      state.error = null;
    },
    failed: (error) => { state.error = error; },
    render: () => [heading(state), plots(state, charts)],
    stop: () => charts.stop(),
  };
}

function heading(state) {
  const names = state.document?.nodes.map(({ node }) => node) ?? [];
  const silent = state.document?.nodes.filter(({ error }) => error) ?? [];
  return [
    h('div', { class: 'head', key: 'head' },
      h('div', null, h('h1', null, 'Flow'), h('p', null, 'The last 15 minutes, as the nodes keep them in memory')),
      h('label', { class: 'field' }, h('span', { class: 'unseen' }, 'Node'), h('select', {
        value: state.node, on: { change: (event) => { state.node = event.target.value; } },
      }, h('option', { value: '' }, 'All nodes'), names.map((name) => h('option', { value: name, key: name }, name))))),
    silent.length > 0 && h('p', { class: 'card problems', key: 'silent', role: 'status' },
      silent.map(({ node, error }) => `${node} is left out: ${error}`).join('; ')),
  ];
}

function plots(state, charts) {
  if (!state.document) {
    return h('p', { class: 'card empty', key: 'none' }, state.error ? state.error.message : 'Asking the nodes…');
  }
  const all = nodesOf(state.document);
  const nodes = state.node ? all.filter(({ node }) => node === state.node) : all;
  const largest = (one, other) => Math.max(one, other);
  const figures = [
    ['in', 'Received', 'records per second, by protocol', rate, merged(nodes, (history) => history.received)],
    ['out', 'Outcomes', 'records per second', rate, merged(nodes, (history) => history.outcomes)],
    ['queue', 'Waiting', 'records in queue and journal', count, merged(nodes, (history) => history.waiting)],
    ['bytes', 'Waiting', 'bytes in queue and journal', bytes, merged(nodes, (history) => history.bytes), POWERS],
    ['writes', 'Write latency', 'of the sink, percentiles', duration, merged(nodes, (history) => history.writes, largest)],
    ['acks', 'Time to acknowledgement', 'percentiles', duration, merged(nodes, (history) => history.acknowledgements, largest)],
  ];
  return h('div', { class: 'plots', key: 'plots' }, figures
    .filter(([,,,, model]) => model.series.length > 0)
    .map(([id, title, unit, format, model, steps]) => charts.figure({ id, title, unit, format, model, steps })));
}
