from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

from numbered import HOST, PORT
from otel_python import send_through

send_through(OTLPLogExporter(endpoint=f"http://{HOST}:{PORT}/v1/logs"))
