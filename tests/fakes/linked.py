"""What every double of the Broker port tells of its link. How a session comes about and ends is the double's own affair."""

from __future__ import annotations

from app.engine.broker import BrokerListener, LinkState


class Linked:
    """Up with a session, connecting while it runs, else down."""

    def __init__(self) -> None:
        self._session_id = ""
        self._listener: BrokerListener | None = None

    @property
    def state(self) -> LinkState:
        if self._session_id:
            return LinkState.UP
        return LinkState.CONNECTING if self._listener is not None else LinkState.DOWN

    @property
    def session_id(self) -> str:
        return self._session_id
