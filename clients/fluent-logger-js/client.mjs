import { setTimeout as sleep } from 'node:timers/promises'
import fluent from 'fluent-logger'
import { HOST, PORT, believed, failed, messages, numberOf } from './numbered.mjs'

// What a user writes. Without `reconnectInterval` it is silent for ten minutes
// after its connection breaks.
const sender = fluent.createFluentSender('shop', {
  host: HOST,
  port: PORT,
  requireAckResponse: true,
  reconnectInterval: 1000
})
sender.on('error', (error) => console.error('sender', error.message))

let open = 0
for await (const message of messages()) {
  open += 1
  sender.emit('order', { message }, (error) => {
    open -= 1
    if (error) failed(numberOf(message), error)
    else believed(numberOf(message))
  })
}
const END_LIMIT_MS = 60_000
const end = performance.now() + END_LIMIT_MS
while (open > 0 && performance.now() < end) await sleep(200)
process.exit(0)
