"""The C-arm's side of the room: what it sends is kept, said in the record and shown.

service     in the daemon: starts and restarts the listener's process, answers it
keeper      in the daemon: a received object goes into the open record, then the C-arm is answered
placing     in the daemon: when it was taken, on the room's time axis; offset: how far the devices' clocks are off
timeline    which image was on at a moment, and when any frame was taken
index       in the daemon: which SOP Instance UIDs the room holds already
previewer   in the daemon: the last image as JPEG, made by a process of its own
steps       in the daemon: performed procedure steps (MPPS), and what they make of the procedure
patients    in the daemon: whether what comes is of the patient expected; identity: how two are compared
cases       what the procedure and the worklist must offer to these
scan        reading the journals back by type of entry
orders      in the daemon: the order book; worklist_file: its file; order_sources: the folder and the hospital fill it
dispatch    in the daemon: what the room calls by itself; outgoing: the caller's process, and asking it
forwarding  in the daemon: every object to every destination; waybill: how far each is
pledges     in the daemon: storage commitment that peers ask of the room; commitments: that the room asks of others
child       in the daemon: starting the helper processes, and talking to them
---
listener/   the process that peers connect to: storage, worklist, MPPS, commitment, who is let in
caller/     the process that calls others: PACS, the hospital's worklist and MPPS, commitment reports
preview     the preview's process: one frame in, a JPEG out; grey: the display pipeline; jpeg12: a decoder
settings, wire, shapes    what both ends of a pipe know; transaction: storage commitment's data sets; items: an order as
            a worklist item; keys: the attributes of one
"""

from esi_room.carm.previewer import Preview
from esi_room.carm.service import CarmService
from esi_room.carm.settings import CarmSettings, Limits, PeerRule

__all__ = ["CarmService", "CarmSettings", "Limits", "PeerRule", "Preview"]
