"""Measures: what a source's number stands for decides what is subtracted from it (R38), and at measure `available` an
acknowledged order is left out only from the level on that counts it (R1, R12)."""

import pytest

from atp.domain.entries import Acknowledged, LevelSet, ShortageFound
from atp.domain.tallies import GROUPS_MAX
from tests.scenarios.table import Table

AVAILABLE = 'source wms {"kind":"wms","measure":"available"}\n'

TABLES = {
    "an acknowledgement that overtakes its level sells nothing twice (R1)": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 by wms v2
        = A@DC1 6 0 4
        reserve r2 A:10 -> INSUFFICIENT
        level A@DC1 6 v3
        = A@DC1 6 0 4
        reserve r3 A:7 -> INSUFFICIENT
        reserve r4 A:6
    """,
    "units the source does not sell are not subtracted from `sellable` and `available` (R38)": """
        source wms {"kind":"wms","measure":"sellable"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 by wms v1
        = A@DC1 6 0 4
        status A@DC1 2 v2
        = A@DC1 6 0 4
        reserve r2 A:7 -> INSUFFICIENT
        reserve r3 A:6
    """,
    "one told late is left out at once, for the level already counts it": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        level A@DC1 6 v3
        = A@DC1 2 0 4
        acknowledge r1 by wms v3
        = A@DC1 6 0 4
    """,
    "told without a source it takes effect with the next level": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v4294967295
        reserve r1 A:4
        confirm r1
        acknowledge r1
        = r1 acknowledged 1:0/4
        = A@DC1 6 0 4
        level A@DC1 10 v4294967295 pos 1
        = A@DC1 6 0 4
        level A@DC1 6 v4294967296
        = A@DC1 6 0 4
    """,
    "an included order's shipment changes nothing, one not included is subtracted until it is counted": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        reserve r2 A:2
        confirm r1
        confirm r2
        acknowledge r1 by wms v2
        level A@DC1 6 v2
        = A@DC1 4 0 6
        fulfil r1
        = A@DC1 4 0 2
        fulfil r2
        = A@DC1 4 0 0
        level A@DC1 4 v3 at 30
        = A@DC1 2 0 0
        level A@DC1 4 v4 at 200
        = A@DC1 4 0 0
    """,
    "released units of an included order return with the source's own number": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 by wms v2
        level A@DC1 6 v2
        release r1
        = A@DC1 6 0 0
        level A@DC1 10 v3
        = A@DC1 10 0 0
    """,
    "of a part acknowledged, counted units leave first": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 1:2 by wms v2
        level A@DC1 8 v2
        = A@DC1 6 0 4
        fulfil r1 1:1
        = A@DC1 6 0 3
        release r1 1:2
        = A@DC1 7 0 1
        = r1 committed 1:0/1
        fulfil r1
        = A@DC1 8 0 0
    """,
    "of a shipment counted in part, only the rest waits for the source": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 1:1 by wms v2
        level A@DC1 9 v2
        = A@DC1 6 0 4
        fulfil r1 1:3
        = A@DC1 6 0 1
        level A@DC1 7 v3 at 200
        = A@DC1 6 0 1
    """,
    "what is not counted yet may leave before the level": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:3
        reserve r2 A:3
        confirm r1
        confirm r2
        acknowledge r1 by wms v5
        acknowledge r2 1:2 by wms v5
        release r1
        = A@DC1 7 0 3
        fulfil r2 1:1
        = A@DC1 7 0 2
        level A@DC1 9 v5
        = A@DC1 8 0 2
    """,
    "each part acknowledged counts from its own version on": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 1:1 by wms v2
        level A@DC1 9 v2
        = A@DC1 6 0 4
        acknowledge r1 1:2 by wms v4
        = A@DC1 6 0 4
        acknowledge r1 1:1 by wms v1
        = A@DC1 7 0 4
        level A@DC1 7 v3
        = A@DC1 5 0 4
        level A@DC1 6 v4
        = A@DC1 6 0 4
    """,
    "inclusion is kept per source (R12)": """
        source erp1 {"kind":"erp","measure":"available"}
        source erp2 {"kind":"erp","measure":"available"}
        location DC1 {"kind":"warehouse","sources":[{"source":"erp1","role":"authority"}]}
        level A@DC1 10 v1 by erp1
        level A@DC1 10 v1 by erp2
        reserve r1 A:4
        confirm r1
        acknowledge r1 by erp1 v2
        level A@DC1 6 v2 by erp1
        = A@DC1 6 0 4
        location DC1 {"kind":"warehouse","sources":[{"source":"erp2","role":"authority"}]}
        = A@DC1 6 0 4
        location DC1 {"kind":"warehouse","sources":[{"source":"erp1","role":"authority"}]}
        = A@DC1 6 0 4
    """,
    "units that another source counts are shipped like any others here": """
        source erp1 {"kind":"erp","measure":"available"}
        location DC1 {"kind":"warehouse","sources":[{"source":"erp1","role":"authority"}]}
        level A@DC1 6 v2 by erp1
        level A@DC1 10 v1 by erp2
        reserve r1 A:4
        confirm r1
        acknowledge r1 by erp1 v2
        = A@DC1 6 0 4
        location DC1 {"kind":"warehouse","sources":[{"source":"erp2","role":"authority"}]}
        = A@DC1 6 0 4
        fulfil r1
        = A@DC1 6 0 0
        location DC1 {"kind":"warehouse","sources":[{"source":"erp1","role":"authority"}]}
        = A@DC1 2 0 0
    """,
    "what one source counts is not dropped when another counts the rest (R12)": """
        source erp1 {"kind":"erp","measure":"available"}
        source erp2 {"kind":"erp","measure":"available"}
        location DC1 {"kind":"warehouse","sources":[{"source":"erp1","role":"authority"}]}
        level A@DC1 10 v2 by erp1
        level A@DC1 10 v2 by erp2
        reserve r1 A:4
        confirm r1
        acknowledge r1 1:3 by erp1 v2
        = A@DC1 9 0 4
        acknowledge r1 by erp2 v2
        = r1 committed 1:0/4
        = A@DC1 9 0 4
        location DC1 {"kind":"warehouse","sources":[{"source":"erp2","role":"authority"}]}
        = A@DC1 7 0 4
    """,
    "a transfer drops the inclusion on both sides (R1)": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 6 v1
        level A@DC2 9 v1
        reserve r1 A:4@DC1
        confirm r1
        acknowledge r1 1:3 by wms v1
        = A@DC1 5 0 4
        transfer r1 1:2 DC1 DC2
        = A@DC1 5 0 2
        = A@DC2 7 0 2
        = r1 committed 1:0/4
        transfer r1 1:2 DC1 DC2
        = A@DC1 6 0 0
        level A@DC2 5 v9
        = A@DC2 1 0 4
    """,
    "only a source that measures `available` counts orders": """
        level A@DC1 10 v5
        reserve r1 A:4
        confirm r1
        acknowledge r1 by wms v2
        = r1 acknowledged 1:0/4
        = A@DC1 6 0 4
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 6 v7
        = A@DC1 2 0 4
        fulfil r1
        = A@DC1 2 0 0
    """,
    "a change of measure leaves the sums true": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 6 v2
        reserve r1 A:2
        reserve r2 A:2
        confirm r1
        confirm r2
        acknowledge r1 by wms v1
        acknowledge r2 by wms v2
        = A@DC1 6 0 4
        source wms {"kind":"wms","measure":"on_hand"}
        = A@DC1 2 0 4
        fulfil r1
        = A@DC1 2 0 2
        release r2
        = A@DC1 4 0 0
        source wms {"kind":"wms","measure":"available"}
        = A@DC1 4 0 0
    """,
    "a source's versions are of one kind, in acknowledgements too": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 6 v2
        reserve r1 A:2
        confirm r1
        acknowledge r1 by wms v9 time -> VERSION_KIND_MISMATCH sequence
        = r1 committed 1:0/2
        acknowledge r1 by erp v9 time
        level A@DC1 6 v10 by erp -> VERSION_KIND_MISMATCH time
        acknowledge r1 by wms v2 -> REPLAYED replayed
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_measures(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_entries_say_what_the_number_is_net_of(table: Table) -> None:
    table.run(AVAILABLE)
    table.run(
        """
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 by wms v2
        level A@DC1 6 v2
        """
    )
    told = [entry.balances[0] for entry in table.entries if isinstance(entry, LevelSet | Acknowledged)]
    assert [(b.number, b.committed, b.included, b.measure, b.free) for b in told] == [
        (10, 0, 0, "available", 10),
        (10, 4, 0, "available", 6),
        (6, 4, 4, "available", 6),
    ]


def test_a_level_that_counts_an_order_is_no_shortage(table: Table) -> None:
    table.run(AVAILABLE)
    table.run(
        """
        level A@DC1 4 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1
        level A@DC1 0 v2
        = A@DC1 0 0 4
        """
    )
    assert not [entry for entry in table.entries if isinstance(entry, ShortageFound)]


def test_the_memory_of_versions_is_bounded_and_what_does_not_fit_is_never_sold(table: Table) -> None:
    table.run(AVAILABLE)
    table.run("level A@DC1 5000 v1\nreserve r1 A:1100\nreserve r2 A:2\nreserve r3 A:1")
    table.run("confirm r1\nconfirm r2\nconfirm r3")
    ids = [f"b{n}" for n in range(1_024)]
    for start in range(0, len(ids), 512):
        some = ids[start : start + 512]
        table.law.apply([table.command("reserve", [name, "A:1"]) for name in some], table.now)
        table.law.apply([table.command("confirm", [name]) for name in some], table.now)
        told = [table.command("acknowledge", [name, "by", "wms", f"v{int(name[1:]) + 10}"]) for name in some]
        table.law.apply(told, table.now)
    table.run(
        """
        acknowledge r1 1:500 by wms v5000
        = A@DC1 2873 0 2127
        acknowledge r2 by wms v10
        level A@DC1 5000 v1032
        = A@DC1 3898 0 2127
        acknowledge r1 1:300 by wms v5000
        acknowledge r3 by wms v1032
        level A@DC1 5000 v5000
        = A@DC1 4200 0 2127
        """
    )


def test_versions_whose_units_left_take_no_room_in_the_memory(table: Table) -> None:
    table.run(AVAILABLE)
    table.run("level A@DC1 2000 v1\nreserve r1 A:1030\nreserve r2 A:2\nconfirm r1\nconfirm r2")
    for start in (10, 525):  # each takes the units before along to its own version
        versions = range(start, start + 515)
        told = [table.command("acknowledge", ["r1", "1:1", "by", "wms", f"v{version}"]) for version in versions]
        table.law.apply(told, table.now)
    pending = list(table.law.dump()["positions"]["A", "DC1"][3]["wms"][7].values())
    assert sum(pending) == 1_030
    assert len(pending) == GROUPS_MAX
    table.run(
        """
        acknowledge r2 by wms v2000
        release r2
        level A@DC1 970 v1039
        = A@DC1 970 0 1030
        """
    )
    assert table.law.dump()["positions"]["A", "DC1"][3]["wms"][7] == {}
