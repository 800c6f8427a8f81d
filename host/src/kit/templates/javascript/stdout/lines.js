// Writes each record as one line.
//
// Config: {"format": "text"}, the default, or {"format": "json"}.

export class Lines {
  constructor(config, stdout) {
    this.format = formatOf(config);
    this.stdout = stdout;
  }

  write(batch) {
    // The host makes the lines, so JavaScript touches no single record. Each
    // record is one line, whatever its body contains.
    const lines = this.format === 'json' ? batch.jsonLines() : batch.textLines();
    try {
      writeAll(this.stdout, lines);
    } catch (error) {
      const reason = `stdout: ${JSON.stringify(error.payload ?? error.message)}`;
      throw { tag: 'retryable', val: { reason } };
    }
  }
}

function formatOf(config) {
  let format, unknown;
  try {
    ({ format = 'text', ...unknown } = JSON.parse(config || '{}'));
  } catch (error) {
    throw permanent(`config: ${error.message}; try {"format": "json"}`);
  }
  for (const name in unknown) throw permanent(`config: there is no field ${name}, only "format"`);
  if (format !== 'text' && format !== 'json') {
    throw permanent(`config: format is ${JSON.stringify(format)}; try "text" or "json"`);
  }
  return format;
}

// A stream says how many bytes it takes now. The host waits until they have
// left the node, so nothing is flushed here.
export function writeAll(stream, bytes) {
  while (bytes.length > 0) {
    const size = Number(stream.checkWrite());
    if (size === 0) {
      const ready = stream.subscribe();
      ready.block();
      // The host counts what is not dropped.
      ready[Symbol.dispose]();
      continue;
    }
    stream.write(bytes.subarray(0, size));
    bytes = bytes.subarray(size);
  }
}

// How a sink says that it can never do something.
function permanent(val) {
  return { tag: 'permanent', val };
}
