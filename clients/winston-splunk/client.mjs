import winston from 'winston'
import SplunkStreamEvent from 'winston-splunk-httplogger'
import { HOST, PORT, believed, failed, messages, numberOf } from './numbered.mjs'

// What a user writes.
const transport = new SplunkStreamEvent({
  splunk: { host: HOST, port: PORT, protocol: 'http', token: 'secret' }
})
const logger = winston.createLogger({ transports: [transport] })
logger.on('error', (error) => console.error('logger', error.message))
transport.on('error', (error) => console.error('transport', error.message))

// It calls back without the error, so the answers are watched below it.
let open = 0
const send = transport.server.send
transport.server.send = (context, done) => {
  open += 1
  const number = numberOf(context.message.msg)
  send(context, (error, response, body) => {
    open -= 1
    if (!error && response?.statusCode === 200) believed(number)
    else failed(number, error ?? response?.statusCode)
    done(error, response, body)
  })
}

for await (const text of messages()) {
  logger.info(text)
}
logger.end()
while (open > 0) await new Promise((resolve) => setTimeout(resolve, 100))
