// What the host calls. The work is in lines.js, which is tested without a node.

import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { Lines } from './lines.js';

let lines;

export const sink = {
  open(config) {
    lines = new Lines(config, getStdout());
  },

  // What this returns are refusals. Without any, the host acknowledges all records.
  write(delivery, batch) {
    lines.write(batch);
    return [];
  },

  close() {},
};
