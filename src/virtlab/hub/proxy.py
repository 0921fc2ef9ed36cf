"""JupyterHub's proxy, not asked who is active: `c.JupyterHub.proxy_class = SilentProxy`.

The proxy notes the time of whatever passes through it. An open page asks for kernels and terminals every few
seconds, whether or not anybody sits before it, so a seat with a forgotten tab would never count as idle. What
a server itself reports every minute (`JUPYTERHUB_ACTIVITY_INTERVAL`) is what was done in it.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.proxy import ConfigurableHTTPProxy


class SilentProxy(ConfigurableHTTPProxy):  # type: ignore[misc]  # JupyterHub has no types
    """Routes without their times, which the hub then takes for unknown; all else as ever."""

    async def get_all_routes(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        routes: dict[str, Any] = await super().get_all_routes(*args, **kwargs)
        for route in routes.values():
            route["data"].pop("last_activity", None)
        return routes
