"""Tracing, opt-in: a span for each request of the onion, and a child for each call of a layer.

No other module imports OpenTelemetry, and ``service.py`` imports this one only if
OTEL_EXPORTER_OTLP_ENDPOINT is set. Requests that the lane answers have no span.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
from typing import Any, TypeVar, cast

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from config import VERSION
from errors import ServiceError
from middleware.onion import Context, Next

T = TypeVar("T")

FLUSH_S = 1.0
"""How long the end of the process waits for the last spans to be sent."""


class Tracing:
    """Makes spans, which a thread of this process sends in batches by ``exporter``."""

    def __init__(self, exporter: SpanExporter) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", "content")
        resource = Resource.create({SERVICE_NAME: name, SERVICE_VERSION: VERSION})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("content")

    @classmethod
    def to(cls, endpoint: str) -> Tracing:
        """Send to the collector whose OTLP endpoint for all signals is ``endpoint``."""
        # while the collector is away, log what is lost, and not each try
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
        return cls(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces"))

    async def close(self) -> None:
        """Send the last spans. A collector that is away does not delay this by more than FLUSH_S.

        No executor runs ``shutdown``, because the interpreter would wait for the executor's thread.
        """
        flush = threading.Thread(target=self._provider.shutdown, name="flush-spans", daemon=True)
        flush.start()
        await asyncio.to_thread(flush.join, FLUSH_S)

    async def middleware(self, ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        """Make the span of a request, the child of the span in its ``traceparent``."""
        names = ("traceparent", "tracestate")
        carrier = {name: ctx.header(name.encode()) or "" for name in names}
        parent = TraceContextTextMapPropagator().extract(carrier)
        asked = {"http.request.method": ctx.method, "url.path": ctx.scope["path"]}
        with self._tracer.start_as_current_span(ctx.method, parent, SpanKind.SERVER, asked) as span:
            await next()
            span.update_name(f"{ctx.method} {ctx.route}")
            span.set_attribute("http.route", ctx.route)
            span.set_attribute("http.response.status_code", ctx.status)
            span.set_attribute("content.layer", ctx.layer)
            if ctx.status >= 500:
                span.set_status(StatusCode.ERROR)

    def traced(self, layer: T, system: str) -> T:
        """Return ``layer`` with a span for each call of a coroutine function within a request."""
        return cast(T, _Traced(layer, system, self._tracer))


class _Traced:
    """Stands for a layer, whatever its methods are."""

    def __init__(self, layer: Any, system: str, tracer: Tracer) -> None:
        self._layer, self._system, self._tracer = layer, system, tracer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._layer, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if not get_current_span().is_recording():
                return await method(*args, **kwargs)
            with self._tracer.start_as_current_span(
                f"{self._system} {name}",
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": self._system, "db.operation.name": name},
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    return await method(*args, **kwargs)
                except ServiceError as error:  # an absent row is no failure
                    if error.status >= 500:
                        span.set_status(StatusCode.ERROR, type(error).__name__)
                    raise

        return call
