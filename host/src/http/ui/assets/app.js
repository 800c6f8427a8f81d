// The frame of the page: which view is shown, what is asked for again and
// again, and what is said when the node does not answer.

import { h, render } from './dom.js';
import { apiOf, token } from './api.js';
import { askToken } from './dialog.js';
import { clockTime } from './format.js';
import { DEFAULT_STREAM, linkTo, place } from './place.js';
import { applyTheme, nextTheme, theme, watchSystemTheme } from './theme.js';
import { clusterView, epochOf } from './views/cluster.js';
import { flowView } from './views/flow.js';
import { lettersView } from './views/letters.js';
import { pluginsView } from './views/plugins.js';
import { tailView } from './views/tail.js';

const VIEWS = [
  { path: 'cluster', name: 'Cluster', make: clusterView },
  { path: 'flow', name: 'Flow', make: flowView },
  { path: 'plugins', name: 'Plugins', make: pluginsView },
  { path: 'dead-letters', name: 'Dead letters', make: lettersView },
  { path: 'tail', name: 'Live tail', make: tailView },
];

/** How often the state of the cluster is asked for, in milliseconds. */
const CLUSTER_EVERY = 1000;
/** How often the names of the streams are. */
const STREAMS_EVERY = 5000;

/** What all views see. */
const app = {
  /** The stream that is shown, and requests about it. */
  stream: null,
  api: null,
  /** The names of all streams, once they are known. */
  streams: [],
  /** Whether it matters which stream is shown. */
  hasStreams: () => app.streams.length > 1 || app.stream !== DEFAULT_STREAM,
  /** What questions before an action begin with. */
  about: () => (app.hasStreams() ? [`This is about the stream ${app.stream}.`] : []),
  cluster: null,
  /** The cluster's name. */
  name: '',
  /** Why this node gives no data, if so, and whether it was asked with a token. */
  trouble: null,
  hadToken: false,
  lastAnswer: null,
  refresh: () => show(),
};
let current = null;
/** Ends the pause before the cluster is asked for again. */
let wake = () => {};
let ended = new AbortController();
/** Ends what is asked about the stream that was shown before. */
let asked = new AbortController();

function shownView() {
  const { path } = place();
  return VIEWS.find((view) => view.path === path) ?? VIEWS[0];
}

function show() {
  if (!current) return;
  const view = shownView();
  document.querySelector('.brand').href = linkTo('cluster');
  render(document.getElementById('tabs'), VIEWS.map(({ path, name }) => h('a',
    { key: path, href: linkTo(path), 'aria-current': path === view.path ? 'page' : null }, name)));
  render(document.getElementById('where'), where());
  render(document.getElementById('tools'), tools());
  render(document.getElementById('notice'), notice());
  render(document.getElementById('main'), isRefused() ? refused() : h('div',
    { key: view.path, class: 'view', id: 'view' }, current.render()));
}

function isRefused() {
  return [401, 403, 404].includes(app.trouble?.status);
}

function refused() {
  return h('section', { class: 'card empty', key: 'refused' },
    h('h1', null, refusedTitle()),
    h('p', { class: 'break' }, app.trouble.message),
    app.trouble.status === 404 ? h('p', null, h('a', { href: linkTo('cluster', DEFAULT_STREAM) }, 'All streams'))
      : h('button', { type: 'button', class: 'first', on: { click: askToken } }, 'Enter a token'));
}

function refusedTitle() {
  if (app.trouble.status === 404) return 'There is no such stream';
  if (app.trouble.status !== 401) return 'This node does not show its data here';
  return app.hadToken ? 'This token is not known' : 'This node wants a token';
}

function where() {
  const { cluster } = app;
  // It stays while another stream is asked for.
  const name = h('strong', { key: 'name' }, app.name);
  if (!cluster) return [name, chooser(), h('span', { key: 'state' }, waitingFor())];
  const leader = cluster.leader ? `${cluster.leader.node} leads` : 'no leader';
  return [
    name,
    chooser(),
    h('span', { key: 'leader', class: 'extra' }, `${leader}, epoch ${epochOf(cluster)}`),
    h('span', { key: 'seen', class: 'extra' }, `· seen from ${cluster.node}`),
  ];
}

function waitingFor() {
  if (!isRefused()) return 'connecting…';
  return app.trouble.status === 404 ? 'no such stream' : 'no access';
}

/** Chooses the stream, if there is a choice. */
function chooser() {
  if (!app.hasStreams()) return null;
  const names = app.streams.includes(app.stream) ? app.streams : [...app.streams, app.stream];
  return h('label', { key: 'stream', class: 'stream' }, h('span', { class: 'unseen' }, 'Stream'), h('select', {
    value: app.stream, on: { change: (event) => { location.hash = linkTo(shownView().path, event.target.value); } },
  }, names.map((name) => h('option', { value: name, key: name }, name))));
}

function tools() {
  const names = { system: 'Auto', light: 'Light', dark: 'Dark' };
  return [
    h('button', {
      type: 'button', class: 'quiet', title: 'Colours: as the system has it, light, or dark',
      'aria-label': `Colours: ${names[theme()]}`, on: { click: () => { nextTheme(); show(); } },
    }, `◐ ${names[theme()]}`),
    h('button', { type: 'button', on: { click: askToken } }, token.get() ? 'Token ✓' : 'Token'),
  ];
}

function notice() {
  if (!app.trouble || isRefused()) return null;
  const since = app.lastAnswer ? `What is shown is of ${clockTime(app.lastAnswer)}. ` : '';
  return h('p', null, `${app.trouble.message}. ${since}Trying again.`);
}

function follow() {
  ended.abort();
  ended = new AbortController();
  current?.stop?.();
  current = null;
  const view = shownView();
  const { stream } = place();
  if (stream !== app.stream) {
    asked.abort();
    asked = new AbortController();
    Object.assign(app, { stream, api: apiOf(stream), cluster: null, trouble: null });
    wake();
  }
  document.title = [view.name, ...(stream === DEFAULT_STREAM ? [] : [stream]), 'Sluice'].join(' · ');
  current = view.make(app);
  show();
  repeat(current, ended.signal);
}

/** Calls the view's `load` for as long as it is shown. */
async function repeat(view, signal) {
  while (view.load && !signal.aborted) {
    if (!document.hidden) {
      try {
        await view.load(signal);
      } catch (error) {
        if (signal.aborted) return;
        view.failed?.(error);
      }
      if (!signal.aborted) show();
    }
    await pause(view.every ?? 5000);
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function pauseBefore(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

async function followCluster() {
  for (;;) {
    const begun = performance.now();
    if (!document.hidden) {
      const hadToken = token.get() !== '';
      const { signal } = asked;
      try {
        const cluster = await app.api.get('../api/v1/cluster', signal);
        if (signal.aborted) continue;
        Object.assign(app, { cluster, name: cluster.cluster, lastAnswer: Date.now(), trouble: null });
      } catch (error) {
        if (signal.aborted) continue;
        Object.assign(app, { trouble: error, hadToken });
        if (isRefused()) app.cluster = null;
      }
      show();
    }
    await pauseBefore(Math.max(100, CLUSTER_EVERY - (performance.now() - begun)));
  }
}

/** Learns the names of the streams, which no token is needed for. */
async function followStreams() {
  const { get } = apiOf(DEFAULT_STREAM);
  for (;;) {
    if (!document.hidden) {
      try {
        const { streams } = await get('../api/v1/streams');
        const had = app.hasStreams();
        app.streams = streams.map(({ name }) => name);
        if (!had && app.hasStreams()) current?.load?.(ended.signal).then(show, () => {});
        show();
      } catch {
        // That the node does not answer is said for the cluster.
      }
    }
    await pause(STREAMS_EVERY);
  }
}

applyTheme();
watchSystemTheme();
document.addEventListener('sluice-token', () => {
  show();
  wake();
  // What it cannot load it says itself, the next time.
  current?.load?.(ended.signal).then(show, () => {});
});
// The fragment names the view, so this link cannot use it.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  document.getElementById('main').focus();
});
let shownBefore = shownView();
window.addEventListener('hashchange', () => {
  follow();
  // Whoever chooses a stream may choose another one.
  if (shownBefore === shownView()) return;
  shownBefore = shownView();
  document.getElementById('main').focus();
  window.scrollTo(0, 0);
});
follow();
followCluster();
followStreams();
