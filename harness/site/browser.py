"""Opens a page in a browser with a window, where there is one."""

import os
import sys
import webbrowser


def open_page(address: str) -> bool:
    """Open a page without waiting for it. Returns whether a browser was found.

    Without a display the system may offer a browser that runs in the terminal; none is opened then.
    """
    has_display = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    return has_display and webbrowser.open(address)
