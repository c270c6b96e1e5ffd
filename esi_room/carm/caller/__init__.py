"""The caller's process: everything that the room calls. It decides nothing and remembers nothing: the daemon does.

__main__      the process: its end of the pipe to the daemon, a worker a peer
worker        one peer's thread: its requests in order, its association kept open while there is work
entity        an association with time limits, TLS, back pressure and words for why it failed
storing       C-STORE of a file as it lies, streamed
steps         MPPS N-CREATE and N-SET
query         C-FIND of the hospital's worklist; folder: orders that are dropped as files
commitment    storage commitment: N-ACTION to a destination, N-EVENT-REPORT to a C-arm
"""
