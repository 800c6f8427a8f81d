// Requests to the node that served this page, and to no other.

import { DEFAULT_STREAM } from './place.js';

const TOKEN = 'sluice-token';

/** A request that was not answered with what was asked for. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** The token of this tab; gone with the tab. It is never part of a URL. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? '',
  set: (value) => {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
  },
};

function headers(given, key = token.get()) {
  const all = { Accept: 'application/json', ...given };
  if (key) all.Authorization = `Bearer ${key}`;
  return all;
}

async function refusal(answer) {
  const text = await answer.text();
  let said = text;
  try {
    said = JSON.parse(text).error ?? text;
  } catch {
    // It is no JSON, so it is the text itself.
  }
  return new Refused(answer.status, said.slice(0, 2000) || `the node answered ${answer.status}`);
}

/** How long the page waits for an answer, in milliseconds. */
const LIMIT = 10_000;
const ACTION_LIMIT = 60_000;
/** A node that streams events says something at least every 5 s. */
const SILENCE = 15_000;

async function send(path, options, limit) {
  const signals = [AbortSignal.timeout(limit)];
  if (options.signal) signals.push(options.signal);
  let answer;
  try {
    answer = await fetch(path, {
      ...options,
      signal: AbortSignal.any(signals),
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Refused(0, error.name === 'TimeoutError' ? 'no answer in time' : 'the node does not answer');
  }
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** Requests about one stream, whichever the page shows later. */
export function apiOf(stream) {
  // What the node does not know as a name, it refuses.
  const named = stream === DEFAULT_STREAM ? {} : { 'Sluice-Stream': encodeURIComponent(stream) };
  return {
    get: (path, signal) => send(path, { signal, headers: headers(named) }, LIMIT),
    /** Asks for an action with this token. */
    post: (path, document, key) => {
      const sent = headers({ ...named, 'Content-Type': 'application/json' }, key);
      return send(path, { method: 'POST', headers: sent, body: JSON.stringify(document) }, ACTION_LIMIT);
    },
    events: (path, signal, onEvent) => events(path, named, signal, onEvent),
  };
}

/**
 * Reads server-sent events until the signal ends it. By `fetch`, because an
 * `EventSource` cannot send a header.
 */
async function events(path, named, signal, onEvent) {
  const answer = await fetch(path, {
    signal,
    headers: headers({ ...named, Accept: 'text/event-stream' }),
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
  if (!answer.ok) throw await refusal(answer);
  onEvent({ name: 'open', data: '' });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    await readAll(reader, onEvent);
  } finally {
    // It may have ended already.
    reader.cancel().catch(() => {});
  }
}

async function readAll(reader, onEvent) {
  let rest = '';
  for (;;) {
    const { done, value } = await within(SILENCE, reader.read());
    if (done) return;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event) onEvent(event);
    }
  }
}

/** Fails if there is no answer in so many milliseconds. */
async function within(ms, answer) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Refused(0, 'the node has become silent')), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function parseEvent(block) {
  let name = 'message';
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
  }
  return data.length ? { name, data: data.join('\n') } : null;
}
