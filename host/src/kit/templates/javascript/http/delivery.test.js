// Tests the sink without a node: `npm test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Delivery } from './delivery.js';

const URL = 'http://127.0.0.1:9000/in?team=a';
const LINES = new TextEncoder().encode('{"body":"one"}\n{"body":"two"}\n');
const batch = { jsonLines: () => LINES };

// Writes a batch to a server that answers so, and returns what it got.
function write(status, retryAfter) {
  let posted;
  const post = (...request) => {
    posted = request;
    return { status, retryAfter };
  };
  new Delivery(JSON.stringify({ url: URL }), post).write(batch);
  return posted;
}

test('a batch is posted as NDJSON', () => {
  const headers = { 'content-type': 'application/x-ndjson' };
  assert.deepEqual(write(204), [URL, headers, LINES, 5000]);
});

test('what a busy server does not take is tried again', () => {
  for (const status of [302, 401, 404, 408, 429, 500, 503]) {
    const val = { reason: `${URL} answered ${status}`, afterMs: 7000n };
    assert.throws(() => write(status, '7'), { tag: 'retryable', val });
  }
});

test('what a server refuses is refused', () => {
  for (const status of [400, 413, 422]) {
    assert.throws(() => write(status), { tag: 'permanent' });
  }
});

test('no answer is tried again', () => {
  const post = () => {
    throw new Error('no answer in time');
  };
  const delivery = new Delivery(`{"url": "${URL}"}`, post);
  assert.throws(() => delivery.write(batch), { tag: 'retryable' });
});

test('Retry-After may be a date', () => {
  const afterMs = (retryAfter) => {
    try {
      return write(503, retryAfter);
    } catch ({ val }) {
      return val.afterMs;
    }
  };
  assert.equal(afterMs('Sun, 06 Nov 1994 08:49:37 GMT'), 0n);
  const later = afterMs(new Date(Date.now() + 60_000).toUTCString());
  assert.ok(later > 50_000n && later <= 60_000n, `${later}`);
  assert.equal(afterMs('soon'), undefined);
});

test('a wrong config is refused for good', () => {
  const wrong = ['', 'no JSON', 'null', '{"url": "a"}', '{"url": "ftp://a"}',
    '{"url": "http://a", "x": 1}', '{"url": "http://a", "timeout_ms": 0}'];
  for (const config of wrong) {
    assert.throws(() => new Delivery(config), { tag: 'permanent' }, config);
  }
  assert.equal(new Delivery('{"url": "http://a", "timeout_ms": 9}').timeoutMs, 9);
});
