// Records as they pass.

import { chip, h, say, table } from '../dom.js';
import { clockTime, count, duration } from '../format.js';

/** How many records are kept on the page. */
const MOST = 500;
/** How often new records are shown, in milliseconds. */
const EVERY = 200;

const SEVERITIES = ['', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'];
const KINDS = { error: 'bad', fatal: 'bad', warn: 'warn', info: 'info' };
const OUTCOMES = {
  delivered: ['good', 'delivered'], retried: ['warn', 'retried'], refused: ['bad', 'refused'],
  dead_letter: ['bad', 'dead letter'], unknown: ['warn', 'unknown'],
};

export function tailView(app) {
  const { api } = app;
  const state = {
    api, filter: { filter: '', severity: '', attribute: '' },
    rows: [], fresh: [], seen: 0, skipped: 0, status: 'stopped', error: null, leader: null, isPaused: false, number: 0, ending: null,
  };
  const timer = setInterval(() => flush(state, app), EVERY);
  start(state, app);
  return {
    render: () => [heading(state, app), records(state, app)],
    stop: () => {
      clearInterval(timer);
      state.ending?.abort();
    },
  };
}

function flush(state, app) {
  if (state.isPaused || state.fresh.length === 0) return;
  state.rows = [...state.fresh.reverse(), ...state.rows].slice(0, MOST);
  state.fresh = [];
  app.refresh();
}

/** Follows the stream, and again after a pause if it breaks. */
async function start(state, app) {
  state.ending?.abort();
  const ending = new AbortController();
  state.ending = ending;
  while (!ending.signal.aborted) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(state.filter)) if (value) query.set(name, value);
    state.status = 'connecting';
    app.refresh();
    try {
      await state.api.events(`../api/v1/tail?${query}`, ending.signal, (event) => take(state, event, app));
      state.error = null;
    } catch (error) {
      if (ending.signal.aborted) return;
      state.error = error.message;
    }
    state.status = 'stopped';
    app.refresh();
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}

function take(state, { name, data }, app) {
  if (name === 'open') {
    Object.assign(state, { status: 'live', error: null, leader: null });
    return app.refresh();
  }
  const document = JSON.parse(data);
  if (name === 'record') {
    state.seen += 1;
    state.number += 1;
    state.fresh.push({ ...document, number: state.number, at: Date.now() });
    if (state.fresh.length > MOST) state.fresh.shift();
  } else if (name === 'skipped') {
    state.skipped += document.records;
  } else if (name === 'leader') {
    state.leader = document;
    app.refresh();
  }
  return undefined;
}

function heading(state, app) {
  const pause = () => {
    state.isPaused = !state.isPaused;
    say(state.isPaused ? 'Paused' : 'Live');
    flush(state, app);
    app.refresh();
  };
  const clear = () => {
    Object.assign(state, { rows: [], fresh: [], seen: 0, skipped: 0 });
    app.refresh();
  };
  return h('div', { class: 'head', key: 'head' },
    h('div', null, h('h1', null, 'Live tail'), h('p', null, 'Records as they pass, with what became of them')),
    h('div', { class: 'actions' }, statusChip(state),
      h('button', { type: 'button', 'aria-pressed': String(state.isPaused), on: { click: pause } }, state.isPaused ? 'Resume' : 'Pause'),
      h('button', { type: 'button', on: { click: clear } }, 'Clear')));
}

function statusChip({ status, isPaused }) {
  if (status === 'live' && isPaused) return chip('warn', 'paused');
  return { live: chip('good', 'live'), connecting: chip('calm', 'connecting'), stopped: chip('bad', 'no stream') }[status];
}

function records(state, app) {
  return h('section', { class: 'card', key: 'records', 'aria-label': 'Records' },
    h('header', null, h('span', { class: 'muted small' },
      `${count(state.seen)} shown, ${count(state.skipped)} left out because there were too many. ${source(state)}`)),
    filters(state, app),
    state.error && h('p', { class: 'empty', role: 'alert' }, state.error),
    state.rows.length === 0 ? !state.error && h('p', { class: 'empty' }, 'Waiting for records that match.') : shown(state));
}

/** Whose records these are. */
function source({ leader }) {
  if (!leader) return '';
  if (leader.error) return `${leader.leader ?? 'The leader'} cannot be asked: ${leader.error}.`;
  return leader.leader ? `From ${leader.leader}, which leads.` : 'No node leads at the moment.';
}

function filters(state, app) {
  const set = (name) => (event) => { state.filter[name] = event.target.value; };
  const text = (name, label, placeholder) => h('label', { class: 'field' }, h('span', null, label),
    h('input', { type: 'search', name, placeholder, value: state.filter[name], on: { input: set(name) } }));
  return h('form', {
    class: 'filters', role: 'search', 'aria-label': 'Filter the tail',
    on: {
      submit: (event) => {
        event.preventDefault();
        Object.assign(state, { rows: [], fresh: [], seen: 0, skipped: 0 });
        start(state, app);
      },
    },
  },
  text('filter', 'Text contains', ''),
  h('label', { class: 'field' }, h('span', null, 'Severity at least'), h('select', {
    name: 'severity', value: state.filter.severity, on: { change: set('severity') },
  }, SEVERITIES.map((name) => h('option', { value: name }, name || 'any')))),
  text('attribute', 'Attribute', 'name=value'),
  h('div', { class: 'actions' }, h('button', { type: 'submit' }, 'Apply')));
}

const COLUMNS = [
  { name: 'Received' }, { name: 'Severity' }, { name: 'Record', kind: 'text' }, { name: 'Outcome' },
  { name: 'Latency', number: true },
];

function shown({ rows }) {
  const described = rows.map((row) => ({
    key: String(row.number),
    cells: [
      h('span', { class: 'nowrap small' }, clockTime(row.at)),
      row.severity ? chip(KINDS[row.severity] ?? 'calm', row.severity) : '–',
      [row.body, attributes(row)],
      outcome(row),
      duration(row.latency_us / 1000),
    ],
  }));
  return h('div', { class: 'tail' }, table('Records, the latest first', COLUMNS, described));
}

function outcome(row) {
  const [kind, text] = OUTCOMES[row.outcome] ?? ['calm', row.outcome];
  return [chip(kind, text), row.reason && h('small', { class: 'break' }, row.reason)];
}

function attributes({ attributes: given }) {
  const all = Object.entries(given ?? {});
  return all.length > 0 && h('small', null, all.slice(0, 12)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('  '));
}
