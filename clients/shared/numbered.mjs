// Numbered messages for a client to send, and the words in which it reports.

import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const { env } = process
export const HOST = env.SLUICE_HOST ?? '127.0.0.1'
export const PORT = Number(env.SLUICE_PORT ?? 3000)
export const NAME = env.CLIENT_NAME ?? 'client'
const COUNT = Number(env.COUNT ?? 100)
const PAUSE_MS = Number(env.PAUSE_MS ?? 20)

function say (word, number, reason = '') {
  const line = `${word} ${number} ${reason}`.trim().replaceAll('\n', ' ')
  writeSync(1, line + '\n')
}

/** Yields texts, one each pause, and reports each as sent. */
export async function * messages () {
  let due = performance.now()
  for (let number = 1; number <= COUNT; number++) {
    await sleep(Math.max(0, due - performance.now()))
    due += PAUSE_MS
    say('sent', number)
    yield `Message: ${number} ${NAME}`
  }
}

/** The number of the message in this text. */
export function numberOf (text) {
  const found = /Message: (\d+) /.exec(`${text} `)
  return found ? Number(found[1]) : undefined
}

export const believed = (number) => say('believed', number)
export const failed = (number, reason = '') => say('failed', number, String(reason).slice(0, 300))
export const refused = (number) => say('refused', number)
