"""OpenTelemetry's SDK for Python with an exporter, watched."""

import logging

from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult

from numbered import believed, failed, messages, number_of


def watch(exporter):
    send = exporter.export

    def export(batch):
        result = send(batch)
        for item in batch:
            number = number_of(item.log_record.body)
            if number is None:
                continue
            if result is LogRecordExportResult.SUCCESS:
                believed(number)
            else:
                failed(number, result)
        return result

    exporter.export = export
    return exporter


def send_through(exporter):
    provider = LoggerProvider()
    set_logger_provider(provider)
    provider.add_log_record_processor(BatchLogRecordProcessor(watch(exporter)))
    logger = logging.getLogger("shop")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=provider))
    for _, text in messages():
        logger.info(text)
    provider.shutdown()
