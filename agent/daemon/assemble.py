"""Putting pages, delivery and reload around the gateway's core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from agent.core.model import Event, Severity
from agent.daemon.delivery import Deliveries
from agent.daemon.factor_check import FactorCheck
from agent.daemon.service import Gateway
from agent.daemon.view import View
from agent.web.app import create_app
from agent.web.server import serve


def assemble(gateway: Gateway, announce: Callable[[int], None], reload: asyncio.Event) -> View:
    """Add the children that are not buses: pages, publishers, reload on request."""
    factors = FactorCheck(gateway, reload)
    deliveries = Deliveries(gateway, factors.take_from_ledger)
    view = View(gateway, deliveries, factors)
    log = structlog.get_logger("gateway")

    def add_publishers() -> None:
        deliveries.reconcile()
        for name, factory in deliveries.factories().items():
            if name not in gateway.supervisor.children:
                gateway.add_child(name, factory)

    async def serve_pages() -> None:
        web = gateway.config.web
        app = create_app(view, language=web.language)

        def listening(port: int) -> None:
            log.info("web.listening", address=f"http://{web.host}:{port}")
            announce(port)

        await serve(app, web.host, web.port, asyncio.Event(), bound=listening)

    async def reload_on_request() -> None:
        while True:
            await reload.wait()
            reload.clear()
            former = gateway.config
            await gateway.reload()
            if gateway.config is former:
                continue
            other_sources = former.factors.sources != gateway.config.factors.sources
            for target in former.targets:
                if target not in gateway.config.targets or other_sources:
                    await gateway.supervisor.remove(f"sync:{target.id}")
            add_publishers()
            view.reconfigured()
            await gateway.supervisor.remove("recalculate")
            gateway.add_child("recalculate", gateway.recalculate)
            await gateway.supervisor.remove("gaps")
            gateway.add_child("gaps", gateway.fill_gaps)
            await gateway.supervisor.remove("announce")
            gateway.add_child("announce", deliveries.announce)
            if gateway.config.web != former.web:
                await gateway.supervisor.remove("web")
                add_pages()

    def add_pages() -> None:
        if gateway.config.web.enabled:
            gateway.add_child("web", serve_pages)

    def on_event(event: Event) -> None:
        deliveries.publish_event(event)
        if event.severity is not Severity.INFO:
            gateway.wake.ring()  # it is sealed now, not with the next window

    gateway.recorder.listeners.append(on_event)
    add_publishers()
    gateway.add_child("announce", deliveries.announce)
    gateway.add_child("reload", reload_on_request)
    gateway.add_child("recalculate", gateway.recalculate)
    gateway.add_child("gaps", gateway.fill_gaps)
    gateway.add_child("factors", factors.run)
    add_pages()
    return view
