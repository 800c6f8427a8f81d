// What the host calls. The work is in delivery.js, which is tested without a node.

import { Delivery } from './delivery.js';
import { post } from './post.js';

let destination;

export const sink = {
  open(config) {
    destination = new Delivery(config, post);
  },

  // What this returns are refusals. Without any, the host acknowledges all records.
  write(delivery, batch) {
    destination.write(batch);
    return [];
  },

  close() {},
};
