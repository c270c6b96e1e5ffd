"""The codes of dose reports (PS3.16 annex D, TID 10001 to 10007 and 10040 to 10042), and what the room calls them.

By CodeValue alone: meanings are in the device's language, and misspelt.
"""

from __future__ import annotations

from typing import NamedTuple

from esi_room.carm.dose.units import Dimension

# The document; its containers of events and of totals: of the plain report, of the enhanced one.
ROOT, EVENTS, TOTALS = "113701", ("113706", "130501"), ("113702", "130500")
# Which plane (TID 10002) or source (TID 10041) totals are of.
PLANE, SOURCE = "113764", "113832"
SCOPE, SCOPES = "113705", {"113014": "study", "113016": "step", "113970": "cumulative", "113852": "event"}


class Field(NamedTuple):
    """A NUM item that is read: the field that it fills, its meaning for words of ours, what it is measured in."""

    field: str
    name: str
    dimension: Dimension


OF_TOTALS = {
    "113722": Field("dap", "Dose Area Product Total", "Gy.m2"),
    "113726": Field("dap_fluoro", "Fluoro Dose Area Product Total", "Gy.m2"),
    "113727": Field("dap_acquisition", "Acquisition Dose Area Product Total", "Gy.m2"),
    "113725": Field("kerma", "Dose (RP) Total", "Gy"),
    "113728": Field("kerma_fluoro", "Fluoro Dose (RP) Total", "Gy"),
    "113729": Field("kerma_acquisition", "Acquisition Dose (RP) Total", "Gy"),
    "113730": Field("fluoro_time", "Total Fluoro Time", "s"),
}
# Private codes, by scheme and value; their units stand beside them (met in reports of an Arcadis Varic by OpenREM).
OF_DEVICES = {
    ("99SMS_RADSUM", "C-202"): OF_TOTALS["113730"],
    ("99SMS_RADSUM", "C-204"): OF_TOTALS["113722"],
}
PRIVATE = "99"  # coding schemes of makers' own begin so (PS3.16 section 8.2)
OF_EVENTS = {
    "122130": Field("dap_gy_m2", "Dose Area Product", "Gy.m2"),
    "113738": Field("air_kerma_rp_gy", "Dose (RP)", "Gy"),
    "113742": Field("duration_s", "Irradiation Duration", "s"),
}
EVENT_UIDS = ("113769", "113853")  # the second is the retired code of the same
EVENT_STARTED, EVENT_TYPE = "111526", "113721"
# CID 10002: in SNOMED CT, and in SRT, which older devices still write; the others are ways to acquire images.
KINDS = {
    "44491008": "fluoroscopy",
    "P5-06000": "fluoroscopy",
    "113611": "acquisition",
    "113612": "acquisition",
    "113613": "acquisition",
}
