"""One device: link + driver + record.

    links --octets--> Decoder --events, rejects--> Station --> record
                 decoder.py                  station.py

`Decoder` is pure: a replay of the wire file feeds it the same way and gets the same events. `Station` is
everything that needs time, a line and a record: reconnecting, the silence watchdog, asking.
"""

from esi_room.station.decoder import Decoder, Heard, Output, Rejected
from esi_room.station.station import Counters, Station

__all__ = ["Counters", "Decoder", "Heard", "Output", "Rejected", "Station"]
