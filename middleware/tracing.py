"""Tracing, opt-in: a span for each request of the onion, and a child for each call of a layer.

No other module imports OpenTelemetry, and ``service.py`` imports this one only if
OTEL_EXPORTER_OTLP_ENDPOINT is set. Requests that the lane answers have no span.
"""

import asyncio
import inspect
import logging
import threading
from functools import partial
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from middleware.onion import Context, Next

FLUSH_S = 1.0
"""How long the end of the process waits for the last spans to be sent."""


class Tracing:
    """Makes spans, which a thread of this process sends to the OTLP collector at ``endpoint``."""

    def __init__(self, endpoint: str) -> None:
        # while the collector is away, log each batch that is lost, and not each try
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
        named = Resource.create({"service.name": "content"})
        resource = named.merge(OTELResourceDetector().detect())  # of OTEL_SERVICE_NAME and others
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer("content")

    async def close(self) -> None:
        """Send the last spans. A collector that is away does not delay this by more than FLUSH_S.

        No executor runs ``shutdown``, because the interpreter would wait for the executor's thread.
        """
        flush = threading.Thread(target=self._provider.shutdown, name="flush-spans", daemon=True)
        flush.start()
        await asyncio.to_thread(flush.join, FLUSH_S)

    async def middleware(self, ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        """Make the span of a request, the child of the span in its ``traceparent``."""
        told = {name.decode(): value.decode("latin-1") for name, value in ctx.scope["headers"]}
        parent = TraceContextTextMapPropagator().extract(told)
        asked = {"http.request.method": ctx.method, "url.path": ctx.scope["path"]}
        start = self.tracer.start_as_current_span
        with start(ctx.method, parent, SpanKind.SERVER, asked) as span:
            await next()
            span.update_name(f"{ctx.method} {ctx.route}")
            span.set_attributes({"http.route": ctx.route, "content.layer": ctx.layer})
            span.set_attribute("http.response.status_code", ctx.status)
            if ctx.status >= 500:
                span.set_status(StatusCode.ERROR)


class Traced:
    """Stands for a layer. Each call of its coroutine functions within a request is a span."""

    def __init__(self, layer: Any, system: str, tracer: Tracer) -> None:
        self._layer, self._system, self._tracer = layer, system, tracer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._layer, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if not get_current_span().is_recording():
                return await method(*args, **kwargs)
            called = {"db.system.name": self._system, "db.operation.name": name}
            start = partial(self._tracer.start_as_current_span, f"{self._system} {name}")
            # an error is an event and no status, because an absent row is no failure
            with start(None, SpanKind.CLIENT, called, set_status_on_exception=False):
                return await method(*args, **kwargs)

        return call
