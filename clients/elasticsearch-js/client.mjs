import { Client } from '@elastic/elasticsearch'
import { HOST, PORT, believed, failed, messages, numberOf, refused } from './numbered.mjs'

const DOCUMENTS_A_CALL = 10
const client = new Client({ node: `http://${HOST}:${PORT}` })

async function send (texts) {
  const numbers = new Set(texts.map(numberOf))
  try {
    await client.helpers.bulk({
      datasource: texts.map((message) => ({ '@timestamp': new Date().toISOString(), message })),
      onDocument: () => ({ create: { _index: 'logs-shop-default' } }),
      onDrop ({ status, error, document }) {
        const number = numberOf(document.message)
        numbers.delete(number)
        if (status === 400) refused(number)
        else failed(number, JSON.stringify(error))
      }
    })
    numbers.forEach((number) => believed(number))
  } catch (error) {
    numbers.forEach((number) => failed(number, error))
  }
}

let waiting = []
for await (const text of messages()) {
  waiting.push(text)
  if (waiting.length === DOCUMENTS_A_CALL) {
    await send(waiting)
    waiting = []
  }
}
await send(waiting)
