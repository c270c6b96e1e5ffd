"""The listener's process: everything that a C-arm connects to. It acknowledges nothing that the daemon has not kept.

__main__    the process, and its end of the pipe to the daemon
server      the doors: plain and TLS; how many, how long
access      who is let in, and how much of the room each may take
transport   pynetdicom's association with bounds, large reads and no sleeping turns
storage     C-STORE; services: what each further service gives (a file a service)
incoming    an object while it arrives: Part 10 file and digests
header      the attributes that a display or an auditor needs
worklist    C-FIND of the worklist; matching: the rules by which an item answers a query
steps       MPPS: what a C-arm says of the procedure step that it performs
patient     who a data set says it is of
contexts    every storage class and transfer syntax
knocks      refusals and breakdowns, a flood of them told as one
"""
