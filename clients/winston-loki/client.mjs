import { setTimeout as sleep } from 'node:timers/promises'
import winston from 'winston'
import LokiTransport from 'winston-loki'
import { HOST, PORT, believed, messages, numberOf } from './numbered.mjs'

// What a user writes.
const transport = new LokiTransport({ host: `http://${HOST}:${PORT}`, labels: { job: 'shop' } })
const logger = winston.createLogger({ transports: [transport] })

// It puts a batch back unless it was taken, so each batch is watched.
const batcher = transport.batcher
const send = batcher.sendBatchToLoki.bind(batcher)
batcher.sendBatchToLoki = async (entry) => {
  const lines = batcher.batch.streams.flatMap((stream) => stream.entries.map(({ line }) => line))
  await send(entry)
  lines.forEach((line) => believed(numberOf(line)))
}

for await (const text of messages()) {
  logger.info(text)
}
const END_LIMIT_MS = 60_000
const end = performance.now() + END_LIMIT_MS
do {
  await sleep(500)
} while (batcher.batch.streams.length > 0 && performance.now() < end)
await transport.flush()
process.exit(0)
