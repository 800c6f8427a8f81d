// One HTTP POST over wasi:http, with a deadline for all of it.
//
// `fetch` would be shorter, but it keeps handles that the host counts, and cannot
// be given up when the time is over.

import { subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.12';
import { handle } from 'wasi:http/outgoing-handler@0.2.12';
import { Fields, OutgoingBody, OutgoingRequest } from 'wasi:http/types@0.2.12';
import { poll } from 'wasi:io/poll@0.2.12';

// Returns the status of the answer and its `Retry-After`. Throws an error that
// says why there is no answer.
export function post(url, headers, body, timeoutMs) {
  const deadline = subscribeDuration(BigInt(timeoutMs) * 1_000_000n);
  try {
    return exchange(new URL(url), { ...headers, 'content-length': `${body.length}` }, body, deadline);
  } catch (error) {
    // What the host says is in `payload`.
    throw error.payload ? new Error(JSON.stringify(error.payload)) : error;
  } finally {
    drop(deadline);
  }
}

function exchange(url, headers, body, deadline) {
  const request = requestFor(url, headers);
  const outgoing = request.body();
  const answer = handle(request);
  try {
    send(outgoing, body, answer, deadline);
    wait([answer], deadline);
    // The outer result is about `get` itself, the inner one about HTTP.
    const result = answer.get().val;
    if (result.tag === 'err') throw new Error(JSON.stringify(result.val));
    const response = result.val;
    const answered = { status: response.status(), retryAfter: header(response, 'retry-after') };
    drop(response);
    return answered;
  } finally {
    drop(answer);
  }
}

function requestFor(url, headers) {
  const encoder = new TextEncoder();
  const fields = Object.entries(headers).map(([name, value]) => [name, encoder.encode(value)]);
  const request = new OutgoingRequest(Fields.fromList(fields));
  request.setMethod({ tag: 'post' });
  request.setScheme({ tag: url.protocol === 'https:' ? 'HTTPS' : 'HTTP' });
  request.setAuthority(url.host);
  request.setPathWithQuery(url.pathname + url.search);
  return request;
}

function send(outgoing, body, answer, deadline) {
  const stream = outgoing.write();
  try {
    while (body.length > 0) {
      // A server may answer, or break off, before it has read everything.
      if (!wait([stream, answer], deadline).includes(0)) return;
      const size = Number(stream.checkWrite());
      stream.write(body.subarray(0, size));
      body = body.subarray(size);
    }
  } catch (error) {
    // Without a payload it is the deadline; else the answer says why.
    if (!error.payload) throw error;
    return;
  } finally {
    drop(stream);
    if (body.length > 0) drop(outgoing);
  }
  OutgoingBody.finish(outgoing, undefined);
}

// Waits for one of several things, and returns the places of those that are ready.
function wait(waitedFor, deadline) {
  const pollables = waitedFor.map((it) => it.subscribe());
  const ready = [...poll([...pollables, deadline])];
  pollables.forEach(drop);
  if (ready[0] === pollables.length) throw new Error('no answer in time');
  return ready;
}

function header(response, name) {
  const headers = response.headers();
  const [value] = headers.get(name);
  drop(headers);
  return value && new TextDecoder().decode(value);
}

// The host counts what is not dropped, and garbage is not collected in time.
function drop(resource) {
  resource[Symbol.dispose]();
}
