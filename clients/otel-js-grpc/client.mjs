import { SeverityNumber } from '@opentelemetry/api-logs'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { HOST, PORT, messages } from './numbered.mjs'
import { watched } from './otel.mjs'

// What a user writes.
const exporter = new OTLPLogExporter({ url: `http://${HOST}:${PORT}` })
const provider = new LoggerProvider({
  processors: [new BatchLogRecordProcessor({ exporter: watched(exporter) })]
})
const logger = provider.getLogger('shop')

for await (const body of messages()) {
  logger.emit({ severityNumber: SeverityNumber.INFO, body })
}
await provider.shutdown()
