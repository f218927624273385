"""Waking a Lumencor light engine over HTTP."""

from __future__ import annotations

import http.client
import logging
import urllib.request

from faro.errors import HardwareError

logger = logging.getLogger(__name__)


def wake_light_engine(address: str, timeout_s: float) -> None:
    """Wake the light engine; returns when it has answered.

    It is called directly, never through a proxy.

    Parameters
    ----------
    address
        Host, or host and port.
    timeout_s
        How long it may take to answer.

    Raises
    ------
    HardwareError
        If it does not answer in time, or refuses.
    """
    url = f"http://{address}/service/?command=WAKEUP"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=timeout_s) as answer:
            answer.read()
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        problem = f"The light engine at {address} could not be woken: {reason}."
        remedy = "Check that it is on, its network cable, and light_engine."
        raise HardwareError(problem, remedy=remedy) from error
    logger.info("light engine at %s woken", address)
