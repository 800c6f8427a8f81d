// Tests the sink without a node: `npm test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lines } from './lines.js';

// A batch of two records, as the host would encode it.
const encode = (text) => new TextEncoder().encode(text);
const batch = {
  textLines: () => encode('one\ntwo\n'),
  jsonLines: () => encode('{"body":"one"}\n{"body":"two"}\n'),
};

// Takes three bytes at a time, with a pause before each.
class Stdout {
  text = '';
  ready = false;

  checkWrite() {
    return this.ready ? 3n : 0n;
  }

  subscribe() {
    return { block: () => (this.ready = true), [Symbol.dispose]() {} };
  }

  write(bytes) {
    assert.ok(this.ready && bytes.length <= 3);
    this.ready = false;
    this.text += new TextDecoder().decode(bytes);
  }
}

function written(config) {
  const stdout = new Stdout();
  new Lines(config, stdout).write(batch);
  return stdout.text;
}

test('each record is a line', () => {
  assert.equal(written(''), 'one\ntwo\n');
  assert.equal(written('{"format": "json"}'), '{"body":"one"}\n{"body":"two"}\n');
});

test('a wrong config is refused for good', () => {
  for (const config of ['no JSON', '{"format": "xml"}', '{"fromat": "json"}', 'null']) {
    assert.throws(() => new Lines(config, new Stdout()), { tag: 'permanent' }, config);
  }
});

test('a failed write is tried again', () => {
  const broken = {
    checkWrite() {
      throw new Error('closed');
    },
  };
  assert.throws(() => new Lines('', broken).write(batch), { tag: 'retryable' });
});
