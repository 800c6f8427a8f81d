// What is wrong, in sentences.

import { time } from './format.js';

/** Of the cluster, for the stream that the statuses of its nodes are about. */
export function problemsOf(cluster) {
  const found = [];
  if (!cluster.leader) found.push('No node leads. Requests are answered with 503 until one does.');
  if (cluster.coordinator_error) found.push(`The coordinator: ${cluster.coordinator_error}`);
  for (const { node, error, status } of cluster.nodes) {
    if (error) found.push(`${node}: ${error}`);
    if (!status) continue;
    if (status.plugin.error) found.push(`${node}, sink: ${status.plugin.error}`);
    if (status.journal?.error) found.push(`${node}, journal: ${status.journal.error}`);
    const { stalled } = status.delivery ?? {};
    if (stalled) found.push(`${node}: delivery stalled since ${time(stalled.since)} because ${stalled.reason}`);
  }
  return found;
}
