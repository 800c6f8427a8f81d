// Which sink is asked for, which runs, how far the nodes are, and what was live
// before.

import { chip, h, table } from '../dom.js';
import { ask } from '../dialog.js';
import { difference } from '../diff.js';
import { count, digest, plural, shortSource, sourceOf, time } from '../format.js';
import { phaseChip } from './cluster.js';

export function pluginsView(app) {
  const { api } = app;
  const state = { plugin: null, error: null, open: new Set() };
  const view = {
    every: 2000,
    load: async (signal) => {
      state.plugin = await api.get('../api/v1/plugin', signal);
      state.error = null;
    },
    failed: (error) => { state.error = error; },
    render: () => {
      const { plugin } = state;
      if (!plugin) {
        return [heading(state, view, app), h('p', { class: 'card empty' }, state.error?.message ?? 'Asking the coordinator…')];
      }
      return [
        heading(state, view, app), failure(state), rollOut(plugin, app.cluster), nodes(plugin, app.cluster), history(state, app),
      ];
    },
  };
  return view;
}

function heading({ plugin }, view, app) {
  return h('div', { class: 'head', key: 'head' },
    h('div', null, h('h1', null, 'Plugins'), h('p', null, 'The sink that takes the records, and its roll-out')),
    plugin && h('div', { class: 'actions' }, h('button', {
      type: 'button', disabled: !plugin.rollback, on: { click: () => rollBack(plugin, view, app) },
    }, 'Roll back…')));
}

function failure({ error }) {
  return error && h('p', { class: 'card problems', key: 'failure', role: 'status' }, `${error.message}. What is shown is older.`);
}

function rollBack({ rollback, asked }, view, app) {
  const { api } = app;
  const effects = [
    ...app.about(),
    `The cluster is asked for ${sourceOf(rollback.manifest)}, which was live since ${time(rollback.at)}.`,
    asked ? `It replaces ${sourceOf(asked.manifest)}, asked for now.` : 'The key of the plugin is written.',
    'Each node prepares it, and the leader switches without losing a record. Rolling back again leads here again.',
    ...rollback.gains.map((gain) => `It may do what the sink before may not: ${gain}`),
  ];
  ask({
    title: 'Roll the plugin back?',
    effects,
    verb: 'Roll back',
    act: async (key) => {
      const answer = await api.post('../api/v1/plugin/rollback', { manifest: rollback.manifest, index: asked?.index ?? 0 }, key);
      return `Asked for ${sourceOf(answer.manifest)}. The nodes are preparing it.`;
    },
    after: () => view.load?.().catch(() => {}),
  });
}

/** What a node says of its sink, in its key; nodes of early versions say nothing. */
function sinkOf({ document }) {
  return document?.plugin ? document : null;
}

/** How far a node is with what is asked for. */
function progressOf(node, index) {
  const sink = sinkOf(node);
  if (!sink) return 'unknown';
  const { error } = sink;
  if (error && !sink.retrying) return 'failed';
  const hasIt = index === 0 || (sink.index === index && sink.plugin_index === index);
  return hasIt && (sink.state === 'prepared' || sink.state === 'running') && !error ? 'ready' : 'waiting';
}

function rollOut(plugin, cluster) {
  const { asked, active } = plugin;
  const index = asked?.index ?? 0;
  const all = cluster?.nodes.filter(({ document }) => document) ?? [];
  const ready = all.filter((node) => progressOf(node, index) === 'ready').length;
  const runs = active?.state === 'running' && (index === 0 || active.index === index);
  const failed = all.some((node) => progressOf(node, index) === 'failed') || active?.failed;
  const verdict = failed ? chip('bad', 'failed')
    : active?.probation ? chip('warn', `on probation for ${active.probation.seconds} s`)
      : runs && ready === all.length ? chip('good', 'complete') : chip('warn', 'in progress');
  return h('section', { class: 'card', key: 'rollout', 'aria-labelledby': 'rollout' },
    h('header', null, h('h2', { id: 'rollout' }, 'Roll-out'), verdict),
    h('div', { class: 'body' },
      h('p', { class: 'small', id: 'adopted' }, `${ready} of ${plural(all.length, 'node has', 'nodes have')} what is asked for`),
      h('progress', { max: String(Math.max(1, all.length)), value: ready, 'aria-labelledby': 'adopted' })),
    h('div', { class: 'body' }, h('dl', { class: 'facts' },
      h('dt', null, 'Desired'), h('dd', null, asked ? [sourceOf(asked.manifest), h('span', { class: 'muted' }, ` · index ${asked.index}`)] : 'each node’s own --plugin'),
      h('dt', null, 'Active'), h('dd', null, active
        ? [active.source, ' ', h('span', { class: 'mono muted' }, digest(active.sha256))] : 'none yet'),
      active && [h('dt', null, 'Since'), h('dd', null, `${time(active.since)} on ${active.node}, epoch ${active.epoch}`)],
      active?.why && [h('dt', null, 'Because'), h('dd', null, active.why)],
      active?.waits_for?.length > 0 && [h('dt', null, 'Waits for'), h('dd', null, active.waits_for.join(', '))],
      active?.failed && [h('dt', null, 'Failed'), h('dd', null, `${sourceOf(active.failed.manifest)}: ${active.failed.reason}`)])));
}

const NODE_COLUMNS = [{ name: 'Node', heads: true }, { name: 'Desired' }, { name: 'Has' }, { name: 'State' }, { name: 'Note' }];

function nodes(plugin, cluster) {
  const rows = (cluster?.nodes ?? []).map((node) => {
    const sink = sinkOf(node);
    if (!sink) return { key: node.node, cells: [node.node, '–', '–', chip('calm', 'unknown'), node.error ?? ''] };
    const runs = plugin.active?.node === node.node && plugin.active.state === 'running';
    return {
      key: node.node,
      cells: [
        node.node,
        h('span', { title: sink.desired.source }, shortSource(sink.desired.source)),
        [shortSource(sink.plugin.source), h('small', { class: 'mono' }, digest(sink.plugin.sha256))],
        [phaseChip(sink.state), runs && h('small', null, 'takes the records')],
        h('span', { class: 'break' }, sink.error ?? ''),
      ],
    };
  });
  return h('section', { class: 'card', key: 'nodes', 'aria-labelledby': 'per-node' },
    h('header', null, h('h2', { id: 'per-node' }, 'On each node')), table('The sink on each node', NODE_COLUMNS, rows));
}

const HISTORY_COLUMNS = [
  { name: 'No.', number: false, heads: true }, { name: 'When' }, { name: 'Event' }, { name: 'Sink' },
  { name: 'Leader' }, { name: 'Manifest' },
];

function history({ plugin, open }, app) {
  const newest = [...plugin.history].reverse();
  const rows = newest.flatMap((entry, at) => {
    const before = newest.slice(at + 1).find(({ event }) => event === 'live');
    const isOpen = open.has(entry.number);
    const toggle = () => {
      if (isOpen) open.delete(entry.number);
      else open.add(entry.number);
      app.refresh();
    };
    const row = {
      key: `n${entry.number}`,
      cells: [
        String(entry.number),
        time(entry.at),
        entry.event === 'live' ? chip('good', 'live') : chip('bad', 'failed'),
        [shortSource(sourceOf(entry.manifest)), h('small', { class: 'mono' }, digest(entry.sha256))],
        `${entry.node} (${count(entry.epoch)})`,
        h('button', { type: 'button', class: 'link', 'aria-expanded': String(isOpen), on: { click: toggle } },
          isOpen ? 'Hide' : before ? 'Show changes' : 'Show'),
      ],
    };
    return isOpen ? [row, { key: `d${entry.number}`, wide: details(entry, before) }] : [row];
  });
  return h('section', { class: 'card', key: 'history', 'aria-labelledby': 'history' },
    h('header', null, h('h2', { id: 'history' }, 'History'), h('span', { class: 'muted small' }, 'the last 50 changes')),
    rows.length === 0 ? h('p', { class: 'empty' }, 'Nothing has gone live yet.')
      : table('Changes, the latest first', HISTORY_COLUMNS, rows));
}

const SIGNS = { '+': ['plus', 'added'], '-': ['minus', 'removed'], ' ': ['same', ''] };

function details(entry, before) {
  const lines = difference(before?.manifest ?? entry.manifest, entry.manifest);
  const isSame = before && lines.every(({ sign }) => sign === ' ');
  return [
    entry.reason && h('p', { class: 'break' }, entry.reason),
    h('p', { class: 'muted small' }, before ? isSame
      ? `The manifest is that of no. ${before.number}; the component ${entry.sha256 === before.sha256 ? 'is the same too' : 'is another one'}.`
      : `Compared with no. ${before.number}:` : 'The manifest:'),
    h('pre', { class: 'diff', tabindex: '0', 'aria-label': 'Manifest' }, lines.map(({ sign, text }) => h('span',
      { class: SIGNS[sign][0] }, SIGNS[sign][1] && h('b', { class: 'unseen' }, `${SIGNS[sign][1]}: `), `${sign} ${text}`))),
  ];
}
