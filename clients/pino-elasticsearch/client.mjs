import pino from 'pino'
import pinoElastic from 'pino-elasticsearch'
import { HOST, PORT, believed, failed, messages, numberOf, refused } from './numbered.mjs'

// What a user writes.
const stream = pinoElastic({ index: 'logs-shop', node: `http://${HOST}:${PORT}`, esVersion: 8 })
const logger = pino(stream)

// What the transport reports: the documents that were dropped, and in the end
// either that all others were taken or an error that stops it for good.
const open = new Set()
stream.on('insertError', ({ document: dropped }) => {
  const number = numberOf(dropped.document.msg)
  open.delete(number)
  if (dropped.status === 400) refused(number)
  else failed(number, JSON.stringify(dropped.error))
})
const end = new Promise((resolve) => {
  stream.on('insert', () => resolve())
  stream.on('error', (error) => resolve(error))
})

for await (const text of messages()) {
  open.add(numberOf(text))
  logger.info(text)
}
stream.end()
const error = await end
for (const number of open) {
  if (error) failed(number, error)
  else believed(number)
}
process.exit(0)
