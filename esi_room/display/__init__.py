"""The displays: wall, console and record as web pages, and the server that serves them.

The pages stand on the MQTT contract alone and are plain files (`static/`): any static web server can serve them.
`server` adds what a static server cannot: who may see what, MQTT on the pages' own address, and the records.
"""
