import { setTimeout as sleep } from 'node:timers/promises'
import winston from 'winston'
import { ElasticsearchTransport } from 'winston-elasticsearch'
import { HOST, PORT, believed, messages, numberOf } from './numbered.mjs'

// What a user writes.
const transport = new ElasticsearchTransport({
  level: 'info',
  clientOpts: { node: `http://${HOST}:${PORT}` }
})
const logger = winston.createLogger({ transports: [transport] })
logger.on('error', (error) => console.error('logger', error.message))
transport.on('warning', (error) => console.error('transport', error.message))

// It keeps each batch until the answer is a success, so what has left its
// buffer is what it believes.
const writer = transport.bulkWriter
const write = writer.write
writer.write = async function (body) {
  const texts = body.filter((_, index) => index % 2 === 1).map((document) => document.message)
  await write.call(this, body)
  const kept = new Set(this.bulk.map(({ doc }) => doc.message))
  texts.filter((text) => !kept.has(text)).forEach((text) => believed(numberOf(text)))
}

for await (const text of messages()) {
  logger.info(text)
}
const END_LIMIT_MS = 60_000
const end = performance.now() + END_LIMIT_MS
do {
  await sleep(500)
} while (writer.bulk.length > 0 && performance.now() < end)
await transport.flush()
process.exit(0)
