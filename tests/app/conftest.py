from tests.app.window_fixtures import person, shapes, shared_window
from tests.qt_fixtures import dark_theme, gl, no_leftovers, private_settings, qapp_args, shot

__all__ = [
    "dark_theme",
    "gl",
    "no_leftovers",
    "person",
    "private_settings",
    "qapp_args",
    "shapes",
    "shared_window",
    "shot",
]
