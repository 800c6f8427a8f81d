// The last 15 minutes of the nodes, as each of them keeps them, as series.

/** Nodes that gave their history, and have one. */
export function nodesOf(document) {
  return document.nodes.filter(({ history }) => history && history.times.length > 0);
}

const sum = (one, other) => one + other;

/**
 * The series that `pick` names in the nodes' histories, joined by time: what they
 * have at the same time is added up, unless `join` says otherwise. Times are in
 * seconds.
 */
export function merged(nodes, pick, join = sum) {
  const step = Math.max(1, ...nodes.map(({ history }) => history.interval_ms / 1000));
  const times = new Set();
  const found = new Map();
  for (const { history } of nodes) {
    const slots = history.times.map((time) => Math.round(time / 1000 / step) * step);
    slots.forEach((slot) => times.add(slot));
    for (const [name, values] of Object.entries(pick(history))) {
      if (!found.has(name)) found.set(name, new Map());
      const own = found.get(name);
      values.forEach((value, at) => {
        if (value === null) return;
        own.set(slots[at], own.has(slots[at]) ? join(own.get(slots[at]), value) : value);
      });
    }
  }
  const sorted = [...times].sort((one, other) => one - other);
  const series = [...found].map(([name, own]) => ({
    name, values: sorted.map((slot) => own.get(slot) ?? null),
  }));
  return { times: sorted, series };
}

/** The percentiles of a history in milliseconds. */
export function milliseconds(percentiles) {
  const scaled = ([name, values]) => [name, values.map((value) => (value === null ? null : value * 1000))];
  return Object.fromEntries(Object.entries(percentiles).map(scaled));
}
