"""Whether a hub can be reached, asked once and soon answered: packages that fetch ask many times, and for minutes."""

from __future__ import annotations

import ssl
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, getproxies, urlopen

from ..errors import UserError

__all__ = ["refuse_unreachable"]

# Seconds for an answer, and for the name's look-up before it, which no timeout of a socket bounds.
PATIENCE = 6.0


def refuse_unreachable(url: str, label: str) -> None:
    """Refuse to fetch `label` where nothing answers at `url`; any answer will do, by way of the system's proxies.

    Raises:
        UserError: within seconds, with the reason.
    """
    if "all" in getproxies():  # a kind of proxy that only the package's own client may know how to use
        return
    said: list[str] = []
    asking = Thread(target=lambda: said.append(_silence(url)), daemon=True)
    asking.start()
    asking.join(PATIENCE + 1)
    why = said[0] if said else f"no answer within {PATIENCE:g} s"
    if why:
        raise UserError(
            f"{label} could not be fetched: {urlsplit(url).netloc} cannot be reached ({why}). Weights that were fetched "
            "before are read without a network, and so is a file"
        )


def _silence(url: str) -> str:
    """Why nothing answers at `url`; empty where something does."""
    try:
        urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
    except HTTPError:
        return ""  # an answer
    except URLError as error:
        # Whose certificate is not trusted here has answered; the package's client may have certificates of its own.
        return (
            "" if isinstance(error.reason, ssl.SSLError) else str(getattr(error.reason, "strerror", "") or error.reason)
        )
    except OSError as error:
        return str(error) or type(error).__name__
    return ""
