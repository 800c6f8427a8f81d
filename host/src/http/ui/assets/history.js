// The last 15 minutes of the nodes, from what each of them keeps, as series.

/** What the answer for the whole cluster says, by node; those without data are left out. */
export function nodesOf(document) {
  return document.nodes.filter(({ history }) => history && history.times.length > 0);
}

/**
 * One series for each name that `pick` finds in the columns of the nodes: the
 * nodes' values are added up by time.
 */
export function merged(nodes, pick, join = (one, other) => one + other) {
  const step = Math.max(1, ...nodes.map(({ history }) => history.step));
  const times = new Set();
  const found = new Map();
  for (const { history } of nodes) {
    const slots = history.times.map((time) => Math.round(time / step) * step);
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
