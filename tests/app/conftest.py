from tests.qt_fixtures import dressed, gl, no_leftovers, private_settings, qapp_args, shot

__all__ = ["dressed", "gl", "no_leftovers", "private_settings", "qapp_args", "shot"]
