"""Something that Ctrl-C does not stop half way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def shielded(action: Callable[[], object]) -> None:
    """Run ``action`` to its end, whatever is pressed or asked for meanwhile.

    Signals interrupt the main thread only, so that there ``action`` runs on a thread
    of its own. What interrupted us is raised when it is done; ``action`` must not
    raise.
    """
    if threading.current_thread() is not threading.main_thread():
        action()
        return
    done, interrupts = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            action()
        finally:
            done.set()

    try:
        threading.Thread(target=work, name="faro-shield", daemon=True).start()
    except RuntimeError:  # the process ends: Python 3.12 starts no thread any more
        action()
        return
    while not done.is_set():
        try:
            done.wait()
        except (KeyboardInterrupt, SystemExit) as interrupt:
            interrupts.append(interrupt)
    if interrupts:
        raise interrupts[0]
