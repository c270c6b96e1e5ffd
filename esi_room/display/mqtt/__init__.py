"""MQTT of the pages on their way to the broker.

`packets` cuts what a page sends into packets, `connect` reads and rewrites the first, `door` says which may pass
(bytes in, bytes out, no I/O); `upstream` knows the broker, `proxy` carries.
"""
