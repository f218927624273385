"""The page: state and controls on top, the views in tabs below."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from nicegui import ui

from faro.errors import FaroError
from faro.run.orders import Order, give_order
from faro.view.dashboard.images import ImageView
from faro.view.dashboard.told import told
from faro.view.dashboard.views import (
    CellsView,
    ErrorsView,
    LatencyView,
    LightView,
    MapView,
    Planned,
    TimelineView,
    now_wall_s,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.run.orders import Verb
    from faro.view.dashboard.drawing import Pictures
    from faro.view.dashboard.live import Live, Snapshot

REFRESH_S: Final = 0.5
SEPARATOR: Final = " \N{MIDDLE DOT} "
COLOURS: Final = {"running": "positive", "finished": "primary", "killed": "negative"}


class View(Protocol):
    """One tab."""

    title: str

    def build(self) -> None:
        """Lay it out."""
        ...

    async def refresh(self, now: Snapshot) -> None:
        """Show what is known now."""
        ...


def build_page(live: Live, pictures: Pictures) -> None:
    """Lay out the page of one visitor, and keep it up to date while it is open."""
    planned = Planned(live)
    views: Sequence[View] = (
        ImageView(live, pictures),
        CellsView(live),
        MapView(live),
        TimelineView(live, planned),
        LatencyView(),
        LightView(live, planned),
        ErrorsView(),
    )
    header = Header(live)
    header.build()
    with ui.tabs().classes("w-full") as tabs:
        for view in views:
            ui.tab(view.title).classes(f"faro-tab-{view.title.lower()}")
    with ui.tab_panels(tabs, value=views[0].title).classes("w-full"):
        for view in views:
            with ui.tab_panel(view.title):
                view.build()
    by_title = {view.title: view for view in views}

    async def refresh() -> None:
        header.refresh(live.now)
        await by_title[str(tabs.value or views[0].title)].refresh(live.now)

    ui.timer(REFRESH_S, refresh)


class Header:
    """What the run does, in one line, and the controls."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def build(self) -> None:
        """Lay out the line and the buttons."""
        with ui.header().classes("items-center gap-4 faro-header"):
            ui.label(self._live.run.path.name).classes("text-h6")
            self.state = ui.badge("").classes("text-body2 faro-state")
            self.words = ui.label("").classes("grow faro-words")
            self._button("pause", "pause", "Pause before the next position")
            self._button("resume", "play_arrow", "Go on")
            self._button("dark", "lightbulb", "Light off now, and pause")
            with self._button_of("extend", "more_time", "Take more timepoints") as more:
                more.on_click(self._ask_extend)
            with self._button_of("stop", "stop", "Stop the run") as stop:
                stop.on_click(self._ask_stop)

    def refresh(self, now: Snapshot) -> None:
        """Write what is known now."""
        state, *others = told(now.status, now.plan, now.free_bytes, now_wall_s())
        self.state.text = state[1]
        colour = COLOURS.get(now.status.state, "warning")
        self.state.props(f"color={colour}")
        self.words.text = SEPARATOR.join(f"{k} {value}" for k, value in others)

    def _button_of(self, verb: str, icon: str, tip: str) -> ui.button:
        button = ui.button(icon=icon).props("flat dense color=white")
        button.classes(f"faro-{verb}").tooltip(tip)
        return button

    def _button(self, verb: Verb, icon: str, tip: str) -> None:
        async def order() -> None:
            await self._order(Order(verb=verb))

        self._button_of(verb, icon, tip).on_click(order)

    async def _order(self, order: Order) -> None:
        """Give an order, and tell what became of it."""
        try:
            reply = await asyncio.to_thread(give_order, self._live.run.path, order)
        except FaroError as error:
            ui.notify(str(error), type="negative")
            return
        if reply.problem:
            ui.notify(f"{reply.problem} {reply.remedy}".strip(), type="negative")
        else:
            ui.notify(f"Done: {order.verb}.", type="positive")

    async def _ask_stop(self) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label("Stop the run? It ends dark, with what was taken stored.")
            with ui.row():
                stop = ui.button("Stop", on_click=lambda: dialog.submit("stop"))
                stop.props("color=negative").classes("faro-stop-yes")
                ui.button("Go on", on_click=dialog.close).props("flat")
        if await dialog == "stop":
            await self._order(Order(verb="stop"))

    async def _ask_extend(self) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label("Repeat the last timepoint of the plan so many times more:")
            number = ui.number(value=10, min=1, precision=0).classes("faro-more")
            with ui.row():
                yes = ui.button("Extend", on_click=lambda: dialog.submit("extend"))
                yes.classes("faro-extend-yes")
                ui.button("Leave it", on_click=dialog.close).props("flat")
        if await dialog == "extend":
            n = int(number.value or 0)
            await self._order(Order(verb="extend", n_timepoints=max(0, n)))
