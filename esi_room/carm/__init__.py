"""The C-arm's side of the room: what it sends is kept, said in the record and shown.

service     in the daemon: starts and restarts the listener's process, answers it
keeper      in the daemon: a received object goes into the open record, then the C-arm is answered
index       in the daemon: which SOP Instance UIDs the room holds already; scan: the journals read back by type of entry
steps       in the daemon: performed procedure steps (MPPS), and what they make of the procedure
patients    in the daemon: whether what comes is of the patient expected; identity: how two are compared
cases       what the procedure and the worklist must offer to these
dose/       what is said of dose, and the account of it
worklist/   what is scheduled
time_axis/  when everything was taken
picture/    what a display is shown
passing/    what goes on to archives, and who stands for what
---
listener/   the process that peers connect to: storage, worklist, MPPS, commitment, who is let in
caller/     the process that calls others: PACS, the hospital's worklist and MPPS, commitment reports
child       starting the helper processes, and talking to them; helper: what these have in common
settings    with wire and shapes: what both ends of a pipe know
tls         certificates on both sides; conformance: the statement
"""

from esi_room.carm.picture.previewer import Preview
from esi_room.carm.service import CarmService
from esi_room.carm.settings import CarmSettings, Limits, PeerRule

__all__ = ["CarmService", "CarmSettings", "Limits", "PeerRule", "Preview"]
