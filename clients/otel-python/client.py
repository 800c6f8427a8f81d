import logging

from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult

from numbered import HOST, PORT, believed, failed, messages, number_of


class Watched(OTLPLogExporter):
    """The exporter, watched."""

    def export(self, batch):
        result = super().export(batch)
        for item in batch:
            number = number_of(item.log_record.body)
            if number is None:
                continue
            if result is LogRecordExportResult.SUCCESS:
                believed(number)
            else:
                failed(number, result)
        return result


# What a user writes.
provider = LoggerProvider()
set_logger_provider(provider)
exporter = Watched(endpoint=f"http://{HOST}:{PORT}/v1/logs")
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(LoggingHandler(logger_provider=provider))

for _, text in messages():
    logger.info(text)
provider.shutdown()
