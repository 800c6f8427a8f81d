// The streams and the nodes of the cluster, and who led when.

import { chip, h, table } from '../dom.js';
import { ask } from '../dialog.js';
import { bytes, count, digest, duration, plural, shortSource } from '../format.js';
import { problemsOf } from '../problems.js';
import { streamsCard } from './streams.js';
import { timeline } from './timeline.js';

const COLUMNS = [
  { name: 'Node', heads: true }, { name: 'Role' }, { name: 'Lease', number: true },
  { name: 'Epoch', number: true }, { name: 'Sink' }, { name: 'Queue', number: true },
  { name: 'Journal', number: true }, { name: 'Acknowledged', number: true }, { name: 'Health' },
];

export function clusterView(app) {
  const span = { minutes: 15 };
  const { api } = app;
  let streams = null;
  return {
    every: 2000,
    load: async (signal) => {
      streams = app.hasStreams() ? await api.get('../api/v1/cluster/streams', signal) : null;
    },
    failed: () => { streams = null; },
    render: () => {
      const { cluster } = app;
      if (!cluster) return [heading(null), h('p', { class: 'card empty' }, 'Asking the nodes…')];
      return [
        heading(cluster, app),
        problems(cluster),
        tiles(cluster),
        streams && streamsCard(streams, app),
        nodes(cluster),
        timeline(cluster, span, app.refresh),
      ];
    },
  };
}

/** The epoch under which the leader leads: the highest one may be that of another stream. */
export function epochOf(cluster) {
  const leader = cluster.nodes.find(({ status }) => status?.role === 'leader');
  return leader?.status.tenure ?? cluster.epoch;
}

function heading(cluster, app) {
  const canStepDown = cluster?.leader && cluster.nodes.length > 1;
  return h('div', { class: 'head' },
    h('div', null, h('h1', null, 'Cluster'),
      cluster && h('p', null, `${plural(cluster.nodes.length, 'node', 'nodes')} of ${cluster.cluster}${app.hasStreams() ? `, stream ${app.stream}` : ''}`)),
    canStepDown && h('div', { class: 'actions' },
      h('button', { type: 'button', on: { click: () => stepDown(cluster, app) } }, 'Step down…')));
}

function stepDown(cluster, app) {
  const { node } = cluster.leader;
  const { api } = app;
  const others = cluster.nodes.filter((other) => other.node !== node).map((other) => other.node);
  ask({
    title: `Let ${node} step down?`,
    effects: [
      ...app.about(),
      `${node} stops accepting requests, finishes what it has, and releases the lock of epoch ${epochOf(cluster)}.`,
      `One of ${others.join(', ')} takes over. Requests wait or are sent again meanwhile.`,
      'Nothing that was acknowledged is lost.',
    ],
    verb: 'Step down',
    act: async (key) => {
      const answer = await api.post('../api/v1/step-down', { epoch: cluster.epoch }, key);
      return `${node} hands over epoch ${answer.epoch}; it finishes within ${duration(answer.drain_ms)}.`;
    },
  });
}

function problems(cluster) {
  const found = problemsOf(cluster);
  return h('div', { key: 'problems', role: 'status' }, found.length > 0 && h('section',
    { class: 'card problems', 'aria-label': 'Problems' },
    h('h2', null, found.length === 1 ? 'A problem' : `${found.length} problems`),
    h('ul', null, found.map((text) => h('li', null, text)))));
}

function sum(cluster, of) {
  return cluster.nodes.reduce((total, { status }) => total + (status ? of(status) : 0), 0);
}

function tiles(cluster) {
  const answering = cluster.nodes.filter(({ status }) => status).length;
  const leader = cluster.nodes.find(({ status }) => status?.role === 'leader');
  const waiting = sum(cluster, (status) => status.queue.records);
  const journal = sum(cluster, (status) => status.journal?.records ?? 0);
  const tile = (name, value, note) => h('div', { class: 'tile' }, h('dt', null, name), h('dd', null, value, h('small', null, note)));
  return h('dl', { class: 'card tiles' },
    tile('Leader', cluster.leader?.node ?? 'none', leader
      ? `epoch ${epochOf(cluster)}, lease ${duration(leader.status.lease_ms)}` : `epoch ${cluster.epoch}`),
    tile('Nodes', `${answering} of ${cluster.nodes.length}`, answering === cluster.nodes.length ? 'all answer' : 'answer'),
    tile('Waiting', count(waiting), journal > 0 ? `${count(journal)} in journals` : 'records in queues'),
    tile('Dead letters', count(sum(cluster, (status) => status.counters.dead_lettered)), 'since the nodes started'));
}

const ROLES = { leader: ['good', 'leader'], suspended: ['warn', 'suspended'], follower: ['calm', 'follower'] };
const PHASES = { running: 'good', prepared: 'info', preparing: 'warn', opening: 'warn', failed: 'bad' };

export function phaseChip(state) {
  return chip(PHASES[state] ?? 'calm', state);
}

function health(node) {
  if (!node.status) return chip('bad', 'no answer');
  const { status } = node;
  if (status.delivery?.stalled || status.journal?.error) return chip('bad', 'stalled');
  if (status.plugin.error) return chip('warn', 'sink problem');
  return chip('good', 'healthy');
}

function nodes(cluster) {
  const rows = cluster.nodes.map((node) => ({
    key: node.node, class: node.status ? null : 'away', cells: cells(node, cluster),
  }));
  return h('section', { class: 'card', 'aria-labelledby': 'nodes' },
    h('header', null, h('h2', { id: 'nodes' }, 'Nodes')), table('Nodes', COLUMNS, rows));
}

function cells(node, cluster) {
  const { status } = node;
  const name = [
    node.node, node.node === cluster.node && h('span', { class: 'muted small' }, ' (this page)'),
    h('small', { class: 'nowrap' }, node.address),
  ];
  if (!status) return [name, chip('calm', 'unknown'), '–', '–', '–', '–', '–', '–', health(node)];
  const [kind, role] = ROLES[status.role] ?? ['calm', status.role];
  const { active } = status.plugin;
  return [
    name,
    chip(kind, role),
    status.role === 'leader' ? duration(status.lease_ms) : '–',
    count(status.epoch),
    [h('span', { title: active.source }, shortSource(active.source)), ' ',
      h('small', null, h('span', { class: 'mono' }, digest(active.sha256)), ' ', active.state)],
    [count(status.queue.records), h('small', null, bytes(status.queue.bytes))],
    status.journal ? [count(status.journal.records), h('small', null, bytes(status.journal.bytes))] : '–',
    count(status.counters.acknowledged),
    health(node),
  ];
}
