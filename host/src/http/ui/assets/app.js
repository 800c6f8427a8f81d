// The frame of the page: which view is shown, what is asked for again and
// again, and what is said when the node does not answer.

import { h, render } from './dom.js';
import { get, token } from './api.js';
import { askToken } from './dialog.js';
import { clockTime } from './format.js';
import { applyTheme, nextTheme, theme, watchSystemTheme } from './theme.js';
import { clusterView } from './views/cluster.js';
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

/** What all views see. */
const app = {
  cluster: null,
  /** Why this node gives no data, if so, and whether it was asked with a token. */
  trouble: null,
  hadToken: false,
  lastAnswer: null,
  refresh: () => show(),
};
let current = null;
let ended = new AbortController();

function shownPath() {
  const path = location.hash.replace(/^#\/?/, '').split('?')[0];
  return VIEWS.find((view) => view.path === path) ?? VIEWS[0];
}

function show() {
  if (!current) return;
  const view = shownPath();
  render(document.getElementById('tabs'), VIEWS.map(({ path, name }) => h('a',
    { key: path, href: `#/${path}`, 'aria-current': path === view.path ? 'page' : null }, name)));
  render(document.getElementById('where'), where());
  render(document.getElementById('tools'), tools());
  render(document.getElementById('notice'), notice());
  render(document.getElementById('main'), isRefused() ? refused() : h('div',
    { key: view.path, class: 'view', id: 'view' }, current.render()));
}

function isRefused() {
  return app.trouble?.status === 401 || app.trouble?.status === 403;
}

function refused() {
  return h('section', { class: 'card empty', key: 'refused' },
    h('h1', null, refusedTitle()),
    h('p', { class: 'break' }, app.trouble.message),
    h('button', { type: 'button', class: 'first', on: { click: askToken } }, 'Enter a token'));
}

function refusedTitle() {
  if (app.trouble.status !== 401) return 'This node does not show its data here';
  return app.hadToken ? 'This token is not known' : 'This node wants a token';
}

function where() {
  const { cluster } = app;
  if (!cluster) return h('span', null, isRefused() ? 'no access' : 'connecting…');
  const leader = cluster.leader ? `${cluster.leader.node} leads` : 'no leader';
  return [
    h('strong', null, cluster.cluster),
    h('span', { class: 'extra' }, `${leader}, epoch ${cluster.epoch}`),
    h('span', { class: 'extra' }, `· seen from ${cluster.node}`),
  ];
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
  const view = shownPath();
  document.title = `${view.name} · Sluice`;
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

/** Ends the pause before the cluster is asked for again. */
let wake = () => {};

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
      try {
        app.cluster = await get('../api/v1/cluster');
        app.lastAnswer = Date.now();
        app.trouble = null;
      } catch (error) {
        Object.assign(app, { trouble: error, hadToken });
        if (isRefused()) app.cluster = null;
      }
      show();
    }
    await pauseBefore(Math.max(100, CLUSTER_EVERY - (performance.now() - begun)));
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
window.addEventListener('hashchange', () => {
  follow();
  document.getElementById('main').focus();
  window.scrollTo(0, 0);
});
follow();
followCluster();
