// Posts each batch as NDJSON to a URL.
//
// Config: {"url": "https://logs.example.com/in", "timeout_ms": 5000}

const HEADERS = { 'content-type': 'application/x-ndjson' };
// Wrong credentials, a wrong address and a busy server are no fault of the
// records, and can be mended while they wait.
const RETRIED = [401, 403, 404, 407, 408, 425, 429];
const LONGEST_WAIT_S = 86_400;

export class Delivery {
  // `post` sends one request: see post.js.
  constructor(config, post) {
    this.post = post;
    try {
      Object.assign(this, parse(config));
    } catch (error) {
      throw permanent(`config: ${error.message}; try {"url": "http://127.0.0.1:9000/"}`);
    }
  }

  write(batch) {
    const { status, retryAfter } = this.answer(batch.jsonLines());
    if (status >= 200 && status < 300) return;
    const reason = `${this.url} answered ${status}`;
    if (status >= 400 && status < 500 && !RETRIED.includes(status)) throw permanent(reason);
    throw retryable(reason, waitMs(retryAfter));
  }

  answer(body) {
    try {
      return this.post(this.url, HEADERS, body, this.timeoutMs);
    } catch (error) {
      throw retryable(`${this.url}: ${error.message}`);
    }
  }
}

function parse(text) {
  const { url, timeout_ms: timeoutMs = 5000, ...unknown } = JSON.parse(text || '{}');
  for (const name in unknown) throw new Error(`unknown field ${name}`);
  if (!/^https?:$/.test(new URL(url).protocol)) throw new Error(`${url} is no HTTP URL`);
  if (!(Number.isInteger(timeoutMs) && timeoutMs > 0)) {
    throw new Error('timeout_ms is not a positive number');
  }
  return { url, timeoutMs };
}

// What `Retry-After` says: seconds, or a date. The host wants a BigInt.
function waitMs(retryAfter) {
  if (!retryAfter) return undefined;
  const seconds = /^\d+$/.test(retryAfter)
    ? Number(retryAfter)
    : (Date.parse(retryAfter) - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return undefined;
  return BigInt(Math.round(Math.min(Math.max(seconds, 0), LONGEST_WAIT_S) * 1000));
}

function permanent(val) {
  return { tag: 'permanent', val };
}

function retryable(reason, afterMs) {
  return { tag: 'retryable', val: { reason, afterMs } };
}
