import { once } from 'node:events'
import pino from 'pino'
import { pinoLoki } from 'pino-loki'
import { HOST, PORT, believed, failed, messages, numberOf } from './numbered.mjs'

// What a user writes.
const stream = pinoLoki({ host: `http://${HOST}:${PORT}`, labels: { application: 'shop' } })
const logger = pino(stream)

// It prints what fails, and goes on. So its requests are watched below it.
const fetch = globalThis.fetch
globalThis.fetch = async (url, request) => {
  const lines = JSON.parse(request.body).streams.flatMap(({ values }) => values)
  const numbers = lines.map(([, line]) => numberOf(JSON.parse(line).msg))
  try {
    const answer = await fetch(url, request)
    for (const number of numbers) {
      if (answer.ok) believed(number)
      else failed(number, answer.status)
    }
    return answer
  } catch (error) {
    numbers.forEach((number) => failed(number, error))
    throw error
  }
}

for await (const text of messages()) {
  logger.info(text)
}
stream.end()
await once(stream, 'close')
