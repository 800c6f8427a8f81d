// Writes severe records as lines, such as: WARN disk almost full
//
// Config: {"min": "warn"}, the lowest severity that is kept.

import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { writeAll } from './lines.js';

const LEVELS = ['unspecified', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'];
let least, stdout;

export const sink = {
  open(config) {
    const { min = 'warn', ...unknown } = JSON.parse(config || '{}') ?? {};
    least = LEVELS.indexOf(min);
    if (least < 0 || Object.keys(unknown).length > 0) {
      throw { tag: 'permanent', val: `config: ${config} is wrong; try {"min": "warn"}` };
    }
    stdout = getStdout();
  },

  write(delivery, batch) {
    const lines = new TextDecoder().decode(batch.textLines()).split('\n');
    const records = batch.severities().map((severity, index) => [severity, lines[index]]);
    const kept = records.filter(([severity]) => LEVELS.indexOf(severity) >= least);
    const text = kept.map(([severity, line]) => `${severity.toUpperCase()} ${line}\n`).join('');
    writeAll(stdout, new TextEncoder().encode(text));
    return [];
  },

  close() {},
};
