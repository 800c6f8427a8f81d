// Dead letters of all nodes, and what decoders rejected.

import { chip, h, say, table } from '../dom.js';
import { ask } from '../dialog.js';
import { count, digest, plural, time } from '../format.js';

const CAUSES = { poison: ['bad', 'poison'], refused: ['warn', 'refused'] };
/** How many letters are listed. */
const MOST = 200;

export function lettersView(app) {
  const { api } = app;
  const state = {
    api, list: null, rejects: null, error: null, chosen: new Map(), shown: null,
    filter: { node: '', plugin: '', reason: '', text: '', since: '' },
  };
  const view = {
    every: 5000,
    load: async (signal) => {
      const query = new URLSearchParams({ limit: String(MOST) });
      for (const [name, value] of Object.entries(state.filter)) {
        if (value) query.set(name, name === 'since' ? ago(Number(value)) : value);
      }
      const [list, rejects] = await Promise.all([
        api.get(`../api/v1/dead-letters?${query}`, signal),
        api.get('../api/v1/rejects?limit=50', signal),
      ]);
      Object.assign(state, { list, rejects, error: null });
      const there = new Set(list.letters.map(keyOf));
      for (const key of state.chosen.keys()) if (!there.has(key)) state.chosen.delete(key);
    },
    failed: (error) => { state.error = error; },
    render: () => [
      heading(),
      state.error && h('p', { class: 'card problems', key: 'error', role: 'alert' }, state.error.message),
      leftOut(state.list),
      letters(state, view, app),
      rejects(state.rejects),
    ],
  };
  return view;
}

function keyOf({ node, id }) {
  return `${node}/${id}`;
}

function heading() {
  return h('div', { class: 'head', key: 'head' }, h('div', null, h('h1', null, 'Dead letters'),
    h('p', null, 'Records that broke the sink, or that it refused when their producers could no longer be told')));
}

function leftOut(list) {
  return list?.errors.length > 0 && h('p', { class: 'card problems', key: 'left', role: 'status' },
    list.errors.map(({ node, error }) => `${node} is left out: ${error}`).join('; '));
}

function letters(state, view, app) {
  return h('section', { class: 'card', key: 'letters', 'aria-labelledby': 'letters' },
    h('header', null, h('h2', { id: 'letters' }, title(state.list)), actions(state, view, app)),
    filters(state, view, app),
    listed(state, app));
}

function title(list) {
  if (!list) return 'Letters';
  return list.more ? `The latest ${count(list.letters.length)} letters` : plural(list.letters.length, 'letter', 'letters');
}

function actions(state, view, app) {
  const chosen = [...state.chosen.values()];
  const none = chosen.length === 0;
  return h('div', { class: 'actions' },
    h('span', { class: 'muted small', role: 'status' }, none ? 'Nothing selected' : `${count(chosen.length)} selected`),
    h('button', { type: 'button', disabled: none, on: { click: () => act(state, view, chosen, { ...REPLAY, about: app.about() }) } }, 'Replay…'),
    h('button', { type: 'button', disabled: none, on: { click: () => act(state, view, chosen, { ...PURGE, about: app.about() }) } }, 'Purge…'));
}

const REPLAY = {
  title: (number) => `Replay ${plural(number, 'dead letter', 'dead letters')}?`,
  effects: (number) => [
    `${plural(number, 'record is', 'records are')} sent to the leader again, for the sink that runs now.`,
    'Letters of records that are confirmed are removed. Those that are rejected again stay.',
  ],
  verb: 'Replay',
  path: '../api/v1/dead-letters/replay',
  answer: ({ confirmed, rejected, missing }) => [
    `${plural(confirmed, 'record was', 'records were')} confirmed, and removed from the dead letters.`,
    rejected.length > 0 && `${count(rejected.length)} stayed; the first because ${rejected[0].reason}`,
    missing > 0 && `${count(missing)} were gone already.`,
  ].filter(Boolean).join(' '),
};
const PURGE = {
  title: (number) => `Purge ${plural(number, 'dead letter', 'dead letters')}?`,
  effects: (number, nodes) => [
    `${plural(number, 'letter is', 'letters are')} removed from ${nodes.join(', ')} for good.`,
    'The records are lost: nothing else has them.',
  ],
  verb: 'Purge',
  danger: true,
  path: '../api/v1/dead-letters/purge',
  answer: ({ removed }) => `${plural(removed, 'letter was', 'letters were')} removed.`,
};

function act(state, view, chosen, kind) {
  const nodes = [...new Set(chosen.map(({ node }) => node))];
  ask({
    title: kind.title(chosen.length),
    effects: [...kind.about, ...kind.effects(chosen.length, nodes)],
    verb: kind.verb,
    danger: kind.danger,
    act: async (key) => kind.answer(await state.api.post(kind.path, { letters: chosen.map(({ node, id }) => ({ node, id })) }, key)),
    after: () => {
      state.chosen.clear();
      state.shown = null;
      view.load().catch(() => {});
    },
  });
}

const SINCE = [['', 'any time'], ['10', 'last 10 minutes'], ['60', 'last hour'], ['1440', 'last day'], ['10080', 'last 7 days']];

function ago(minutes) {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}

function filters(state, view, app) {
  const nodes = app.cluster?.nodes.map(({ node }) => node) ?? [];
  const set = (name) => (event) => { state.filter[name] = event.target.value; };
  const text = (name, label) => h('label', { class: 'field' }, h('span', null, label),
    h('input', { type: 'search', name, value: state.filter[name], on: { input: set(name) } }));
  const select = (name, label, options) => h('label', { class: 'field' }, h('span', null, label),
    h('select', { name, value: state.filter[name], on: { change: set(name) } },
      options.map(([value, shown]) => h('option', { value }, shown))));
  return h('form', {
    class: 'filters', role: 'search', 'aria-label': 'Filter dead letters',
    on: {
      submit: async (event) => {
        event.preventDefault();
        await view.load().catch(view.failed);
        app.refresh();
        say(title(state.list));
      },
    },
  },
  text('text', 'Record contains'), text('reason', 'Reason contains'), text('plugin', 'Sink'),
  select('node', 'Node', [['', 'all nodes'], ...nodes.map((name) => [name, name])]),
  select('since', 'Since', SINCE),
  h('div', { class: 'actions' }, h('button', { type: 'submit' }, 'Apply')));
}

function listed(state, app) {
  if (!state.list) return h('p', { class: 'empty' }, 'Asking the nodes…');
  const { letters: all } = state.list;
  if (all.length === 0) {
    const isFiltered = Object.values(state.filter).some(Boolean);
    return h('p', { class: 'empty' }, isFiltered ? 'No dead letter matches.' : 'There are no dead letters.');
  }
  const rows = all.flatMap((letter) => {
    const key = keyOf(letter);
    const row = { key, class: state.chosen.has(key) ? 'selected' : null, cells: cells(letter, state, app) };
    return state.shown?.key === key ? [row, { key: `${key}-shown`, wide: shownLetter(state.shown) }] : [row];
  });
  const columns = [
    { name: '', kind: 'select', content: selectAll(all, state, app) }, { name: 'Id', heads: true, kind: 'nowrap' }, { name: 'Node' },
    { name: 'When' }, { name: 'Cause' }, { name: 'Reason' }, { name: 'Record' },
  ];
  return table('Dead letters, the latest first', columns, rows);
}

function selectAll(all, state, app) {
  const chosen = all.filter((letter) => state.chosen.has(keyOf(letter))).length;
  return h('input', {
    type: 'checkbox', 'aria-label': 'Select all that are listed',
    checked: chosen === all.length, indeterminate: chosen > 0 && chosen < all.length,
    on: {
      change: (event) => {
        for (const letter of all) {
          if (event.target.checked) state.chosen.set(keyOf(letter), letter);
          else state.chosen.delete(keyOf(letter));
        }
        app.refresh();
      },
    },
  });
}

function cells(letter, state, app) {
  const key = keyOf(letter);
  const isShown = state.shown?.key === key;
  const [kind, cause] = CAUSES[letter.cause] ?? ['calm', letter.cause];
  return [
    h('input', {
      type: 'checkbox', 'aria-label': `Select ${letter.id} of ${letter.node}`, checked: state.chosen.has(key),
      on: {
        change: (event) => {
          if (event.target.checked) state.chosen.set(key, letter);
          else state.chosen.delete(key);
          app.refresh();
        },
      },
    }),
    h('button', {
      type: 'button', class: 'link', 'aria-expanded': String(isShown),
      on: { click: () => toggle(letter, state, app) },
    }, letter.id),
    letter.node,
    h('span', { class: 'nowrap' }, time(letter.time)),
    chip(kind, cause),
    h('div', { class: 'cut', title: letter.reason }, letter.reason),
    h('div', { class: 'cut mono', title: letter.body }, letter.body),
  ];
}

async function toggle(letter, state, app) {
  const key = keyOf(letter);
  if (state.shown?.key === key) {
    state.shown = null;
    return app.refresh();
  }
  state.shown = { key, letter, full: null, error: null };
  app.refresh();
  try {
    const path = `${encodeURIComponent(letter.node)}/${encodeURIComponent(letter.id)}`;
    const full = await state.api.get(`../api/v1/dead-letters/${path}`);
    if (state.shown?.key === key) state.shown.full = full;
  } catch (error) {
    if (state.shown?.key === key) state.shown.error = error.message;
  }
  app.refresh();
}

/** What the page shows of one text, in characters. */
const MOST_TEXT = 100_000;

function shownLetter({ letter, full, error }) {
  if (error) return h('p', { role: 'alert' }, error);
  if (!full) return h('p', { class: 'muted' }, 'Asking the node…');
  const { record } = full;
  const attributes = Object.entries(record.attributes);
  const body = record.body.length > MOST_TEXT ? `${record.body.slice(0, MOST_TEXT)}…` : record.body;
  return h('div', { class: 'view' },
    h('dl', { class: 'facts' },
      h('dt', null, 'Reason'), h('dd', null, full.reason),
      h('dt', null, 'Sink'), h('dd', null, full.plugin.source, ' ', h('span', { class: 'mono muted' }, digest(full.plugin.sha256))),
      h('dt', null, 'Set aside'), h('dd', null, `${time(full.time)} on ${letter.node}`),
      h('dt', null, 'Record’s time'), h('dd', null, record.timestamp ? time(record.timestamp) : '–'),
      record.severity && [h('dt', null, 'Severity'), h('dd', null, record.severity)],
      record.key && [h('dt', null, 'Producer’s id'), h('dd', null, record.key)],
      attributes.map(([name, value]) => [h('dt', null, name),
        h('dd', { class: 'mono' }, typeof value === 'string' ? value : JSON.stringify(value))])),
    h('pre', { class: 'record', tabindex: '0', 'aria-label': 'Text of the record' }, body));
}

const REJECT_COLUMNS = [
  { name: 'When' }, { name: 'Node' }, { name: 'Protocol' }, { name: 'Client' },
  { name: 'Reason' }, { name: 'Begins with' },
];

function rejects(list) {
  if (!list) return null;
  const rows = list.rejects.map((reject, at) => ({
    key: `${reject.node}-${reject.time}-${at}`,
    cells: [
      h('span', { class: 'nowrap' }, time(reject.time)), reject.node, reject.protocol, reject.client ?? '–',
      h('div', { class: 'cut', title: reject.reason }, reject.reason),
      h('div', { class: 'cut mono' }, reject.text ?? reject.base64 ?? ''),
    ],
  }));
  return h('section', { class: 'card', key: 'rejects', 'aria-labelledby': 'rejects' },
    h('header', null, h('h2', { id: 'rejects' }, 'Rejected by decoders'),
      h('span', { class: 'muted small' }, 'what clients sent and nothing could read; kept in memory')),
    rows.length === 0 ? h('p', { class: 'empty' }, 'Nothing was rejected lately.')
      : table('Rejects, the latest first', REJECT_COLUMNS, rows));
}
