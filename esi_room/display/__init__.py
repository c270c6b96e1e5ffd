"""The displays: wall, console and record as web pages, and the server that serves them."""
