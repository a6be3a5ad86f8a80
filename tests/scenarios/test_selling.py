"""Who may sell what, from where, and how much of it: channels, shares, campaigns, limits of customers."""

import pytest

from tests.scenarios.table import Table

SHARES = {
    "floors that ask for more than there is strand nothing (R11)": """
        level A@DC1 100 v1
        channel web {"priority":0}
        channel app {"priority":1}
        share A web {"protection":60}
        share A app {"protection":60}
        ats A web 60
        ats A app 40
        ats A b2b 0
        reserve r1 A:40 via web
        reserve r2 A:40 via app
        ats A web 20
        ats A app 0
        reserve r3 A:1 via app -> INSUFFICIENT
        reserve r4 A:21 via web -> INSUFFICIENT
        reserve r5 A:20 via web
        = A@DC1 0 100 0
    """,
    "what was shipped is still used: the floor is not filled again (R11)": """
        level A@DC1 100 v1
        share A web {"protection":60}
        ats A app 40
        reserve r1 A:60 via web
        confirm r1
        ats A app 40
        fulfil r1
        ats A app 40
        level A@DC1 40 v2 at 3600
        ats A app 40
        ats A web 40
        reserve r2 A:40 via app
    """,
    "what is released or expires protects again": """
        level A@DC1 10 v1
        share A web {"protection":6}
        reserve r1 A:6 via web ttl 5
        ats A app 4
        wait 8
        ats A app 4
        reserve r2 A:6 via web
        release r2
        reserve r3 A:5 via app -> INSUFFICIENT
        reserve r4 A:4 via app
    """,
    "a cap counts what was sold, shipped or not": """
        level A@DC1 50 v1
        share A amazon {"cap":10}
        ats A amazon 10
        ats A web 50
        reserve r1 A:6 via amazon
        confirm r1
        fulfil r1
        reserve r2 A:5 via amazon -> INSUFFICIENT
        reserve r3 A:3 via amazon
        release r3
        ats A amazon 4
        reserve r4 A:9 via amazon partial
        = r4 held 1:4/0
        share A amazon {"cap":10}
        ats A amazon 10
    """,
    "two lines of one sku share the cap and the floors": """
        level A@DC1 5 v1
        level A@DC2 5 v1
        share A web {"cap":6}
        share A app {"protection":3}
        reserve r1 A:4 A:3 -> INSUFFICIENT
        reserve r2 A:4@DC1 A:3@DC2 -> INSUFFICIENT
        reserve r3 A:4@DC1 A:2@DC2
        reserve r4 A:2 via b2b -> INSUFFICIENT
        reserve r5 A:1 via b2b
        ats A app 3
    """,
    "safety stock is not there for a floor": """
        level A@DC1 10 v1
        share A web {"protection":6}
        reserve r1 A:1 via app
        item A {"safety_stock":2}
        ats A app 1
        reserve r2 A:2 via app -> INSUFFICIENT
        item A {}
        reserve r2 A:2 as 2 via app -> KEY_REUSED
        reserve r3 A:3 via app
    """,
    "what is sold may move, whatever the cap": """
        level A@DC1 10 v1
        level A@DC2 10 v1
        share A web {"cap":4}
        reserve r1 A:4@DC1
        transfer r1 1:3 DC1 DC2
        = A@DC2 7 3 0
    """,
    "a share begins to count when it is put": """
        level A@DC1 10 v1
        reserve r1 A:4
        share A web {"cap":5}
        ats A web 5
        release r1
        ats A web 5
        reserve r2 A:5
        share A web {"protection":2}
        release r2
        ats A app 8
    """,
    "a shortage at one place does not lower a floor elsewhere": """
        level A@DC1 -20 v1
        level A@DC2 10 v1
        share A app {"protection":4}
        ats A web 6
        reserve r1 A:6
        reserve r2 A:1 -> INSUFFICIENT
    """,
    "a location alone grants no more than the floors of the whole leave": """
        level A@DC1 5 v1
        level A@DC2 5 v1
        share A app {"protection":7}
        reserve r1 A:4@DC1 -> INSUFFICIENT
        reserve r2 A:3@DC1
        reserve r3 A:1@DC2 -> INSUFFICIENT
    """,
    "a basket that replaces one gives its share back first": """
        level A@DC1 10 v1
        share A web {"cap":4}
        share A app {"protection":6}
        reserve r1 A:4
        reserve r2 A:4 replaces r1
        reserve r3 A:5 replaces r2 -> INSUFFICIENT
        reserve r4 A:6 via app replaces r2
        ats A web 4
    """,
    "a transfer takes nothing that is kept for others": """
        level A@DC1 4 v1
        level A@DC2 4 v1
        channel app {"locations":["DC2"]}
        share A app {"protection":3}
        reserve r1 A:4@DC1
        transfer r1 1:2 DC1 DC2 -> INSUFFICIENT
        transfer r1 1:1 DC1 DC2
        ats A app 3
    """,
    "a sku has floors for eight sellers": """
        share A c1 {"protection":1}
        share A c2 {"protection":1}
        share A c3 {"protection":1}
        share A c4 {"protection":1}
        share A c5 {"protection":1}
        share A c6 {"protection":1}
        share A c7 {"protection":1}
        share A c8 {"protection":1}
        share A c9 {"cap":1}
        share A c9 {"protection":1} -> LIMIT_EXCEEDED protections
        campaign bf +0 +9 A:1 -> LIMIT_EXCEEDED protections
        share A c8 {"protection":0}
        share A c9 {"protection":1}
    """,
}
PLACES = {
    "a channel sells from its locations and groups only (R32)": """
        location S1 {"kind":"store","priority":5,"groups":["shops"]}
        channel amazon {"locations":["DC2"]}
        channel shop {"location_groups":["shops"]}
        level A@DC1 5 v1
        level A@DC2 3 v1
        level A@S1 2 v1
        ats A amazon 3
        ats A shop 2
        ats A web 10
        reserve r1 A:4 via amazon -> INSUFFICIENT
        reserve r2 A:1@DC1 via amazon -> CHANNEL_NOT_ALLOWED 0
        reserve r3 A:1 A:1%shops via amazon -> CHANNEL_NOT_ALLOWED 1
        reserve r4 A:3 via amazon
        = A@DC2 0 3 0
        reserve r5 A:2%shops via shop
        = A@S1 0 2 0
    """,
    "a line may name a group of locations": """
        location DC1 {"kind":"warehouse","groups":["east"]}
        location S1 {"kind":"store","groups":["east"]}
        level A@DC1 2 v1
        level A@DC2 9 v1
        level A@S1 2 v1
        reserve r1 A:5%east -> INSUFFICIENT
        reserve r2 A:3%east
        = A@DC1 0 2 0
        = A@S1 1 1 0
        reserve r3 A:1%nowhere -> UNKNOWN_LOCATION 0
        location-group nowhere {}
        channel pos {"locations":["DC1"]}
        reserve r3 A:1%nowhere via pos -> CHANNEL_NOT_ALLOWED 0
        reserve r3 A:1%nowhere -> INSUFFICIENT
    """,
    "a basket stays together where all its lines may be": """
        location DC2 {"kind":"warehouse","groups":["east"]}
        level A@DC1 9 v1
        level A@DC2 9 v1
        level B@DC1 9 v1
        level B@DC2 9 v1
        reserve r1 A:1 B:1%east
        = A@DC2 8 1 0
        = B@DC2 8 1 0
        reserve r2 A:1 B:1%east whole
        = A@DC2 7 2 0
    """,
    "a floor belongs to the locations of its channel (R32)": """
        channel shop {"locations":["S1"]}
        share A shop {"protection":4}
        level A@DC1 5 v1
        level A@S1 6 v1
        ats A web 7
        reserve r1 A:3@S1 -> INSUFFICIENT
        reserve r2 A:2@S1
        reserve r3 A:5
        = A@DC1 0 5 0
        ats A web 0
        ats A shop 4
    """,
    "floors of channels that share a place are kept both at once": """
        channel c1 {"locations":["DC1","DC2"]}
        channel c2 {"locations":["DC2","S1"]}
        share A c1 {"protection":5}
        share A c2 {"protection":5}
        level A@DC1 0 v1
        level A@DC2 10 v1
        level A@S1 0 v1
        ats A web 0
        reserve r1 A:1 -> INSUFFICIENT
        ats A c1 5
        level A@S1 3 v2
        ats A web 3
        reserve r2 A:3@DC2
        reserve r3 A:1@S1 -> INSUFFICIENT
        reserve r4 A:5 via c1
        reserve r5 A:5 via c2
    """,
    "the locations of a channel may change": """
        channel shop {"locations":["S1"]}
        share A shop {"protection":4}
        level A@DC1 5 v1
        level A@S1 6 v1
        reserve r1 A:1
        channel shop {}
        ats A web 6
        ats A shop 10
        location S1 {"kind":"store","active":false}
        ats A web 0
        reserve r2 A:1 -> INSUFFICIENT
    """,
    "the longest hold of a channel": """
        channel pos {"max_hold_seconds":60}
        level A@DC1 5 v1
        reserve r1 A:1 via pos ttl 61 -> LIMIT_EXCEEDED ttl
        reserve r2 A:1 via pos ttl 0
        wait 30
        extend r2 31 -> LIMIT_EXCEEDED ttl
        extend r2 30
        reserve r3 A:1 via pos replaces r2 ttl 31 -> LIMIT_EXCEEDED ttl
        reserve r4 A:1 ttl 0
        wait 60
        = A@DC1 4 1 0
    """,
    "units a customer holds at once": """
        channel web {"held_units_per_customer":4}
        level A@DC1 50 v1
        level B@DC1 50 v1
        reserve r0 A:1 -> CUSTOMER_REQUIRED
        reserve r1 A:2 B:1 for c-1
        reserve r2 A:2 for c-1 -> LIMIT_EXCEEDED held_units_per_customer
        reserve r3 A:2 for c-2
        reserve r4 A:4 for c-1 replaces r1
        confirm r4 1:3
        reserve r5 A:3 for c-1
        release r5
        reserve r6 A:9 for c-1 via app
        reserve r7 A:3 for c-1 ttl 1
        wait 4
        reserve r8 A:3 for c-1
    """,
    "a limit of held units is no refusal while due holds wait (R21)": """
        channel web {"held_units_per_customer":2}
        level A@DC1 50 v1
        reserve r1 A:2 for c-1 ttl 1
        settle 0
        pass 7
        reserve r2 A:2 for c-1 -> AGAIN
        settle 1
        reserve r2 A:2 for c-1
    """,
}
CAMPAIGNS = {
    "stock is set aside from the PUT on, and everybody's again at the end (R23)": """
        level A@DC1 10 v1
        share A web {"protection":3}
        campaign bf +10 +60 A:5
        ats A web 5
        ats A app 2
        ats A web bf 0
        reserve r1 A:1 in bf -> CAMPAIGN_CLOSED
        wait 10
        ats A web bf 5
        reserve r1 A:1 as 2 in bf
        reserve r2 A:5 in bf -> INSUFFICIENT
        reserve r3 A:4 in bf via app
        ats A app 2
        reserve r4 A:3 via app -> INSUFFICIENT
        release r3
        ats A app 2
        ats A app bf 4
        wait 50
        ats A app bf 0
        reserve r5 A:1 in bf -> CAMPAIGN_CLOSED
        confirm r1
        ats A web 9
        ats A app 6
    """,
    "a campaign's floor comes before all channels, on top of theirs (R23)": """
        level A@DC1 600 v1
        share A web {"protection":100}
        campaign bf +0 +60 A:500 {"channels":["web"]}
        ats A app 0
        ats A web 100
        ats A web bf 500
        ats A app bf 0
        reserve r1 A:1 in bf via app -> CHANNEL_NOT_ALLOWED campaign
        reserve r2 A:1 in other -> UNKNOWN_CAMPAIGN other
        level A@DC1 550 v2
        ats A web bf 500
        ats A web 50
    """,
    "more set aside than there is": """
        level A@DC1 3 v1
        campaign bf +0 +60 A:5
        ats A web 0
        reserve r1 A:4 in bf -> INSUFFICIENT
        reserve r2 A:3 in bf
        level A@DC1 9 v2
        reserve r3 A:4 -> AGAIN
    """.replace("reserve r3 A:4 -> AGAIN", "ats A web 4\n        ats A web bf 2"),
    "a campaign sells only what it set aside": """
        level A@DC1 9 v1
        level B@DC1 9 v1
        campaign bf +0 +60 A:5
        reserve r1 A:1 B:1 in bf -> INSUFFICIENT
        reserve r2 A:5 in bf
        reserve r3 A:1 in bf -> INSUFFICIENT
        reserve r4 A:4
    """,
    "a waiting room lets in who has a ticket, each of them once": """
        level A@DC1 50 v1
        campaign bf +5 +600 A:10 {"waiting_room":true}
        reserve r0 A:1 in bf -> CAMPAIGN_CLOSED
        wait 5
        reserve r1 A:1 in bf -> TICKET_REQUIRED
        reserve r1 A:99 in bf with t1 -> INSUFFICIENT
        reserve r2 A:1 in bf with t1
        reserve r2 A:1 in bf with t1 -> REPLAYED replayed
        reserve r3 A:1 in bf with t1 -> TICKET_REQUIRED used
        reserve r4 A:2 in bf with t1 replaces r2
        release r4
        reserve r5 A:1 in bf with t1 -> TICKET_REQUIRED used
        reserve r6 A:1 in bf with t1 replaces r4 -> TICKET_REQUIRED used
        reserve r7 A:1 in bf with t2
        reserve r8 A:1 with t1
        = A@DC1 48 2 0
        campaign bf +0 +600 A:10
        reserve r9 A:1 in bf
        campaign bf +0 +600 A:10 {"waiting_room":true}
        reserve r10 A:1 in bf with t2 -> TICKET_REQUIRED used
        wait 700
        campaign bf +0 +600 A:10 {"waiting_room":true}
        reserve r11 A:1 in bf with t2
    """,
    "units per customer, per sku, held or bought": """
        level A@DC1 90 v1
        level B@DC1 90 v1
        campaign bf +0 +600 A:50,B:50 {"per_customer":2}
        reserve r1 A:1 in bf -> CUSTOMER_REQUIRED
        reserve r2 A:2 B:1 in bf for c-1
        reserve r3 A:1 in bf for c-1 -> LIMIT_EXCEEDED per_customer
        confirm r2
        fulfil r2
        reserve r4 A:1 in bf for c-1 -> LIMIT_EXCEEDED per_customer
        reserve r5 B:1 in bf for c-1
        release r5
        reserve r6 B:1 in bf for c-1
        reserve r7 A:2 in bf for c-2
        reserve r8 A:2 in bf for c-2 replaces r7
        reserve r9 A:9 for c-1
    """,
    "a campaign that is put again goes on counting": """
        level A@DC1 90 v1
        campaign bf +0 +600 A:10 {"per_customer":6}
        wait 1
        reserve r1 A:6 in bf for c-1
        campaign bf +0 +600 A:12 {"per_customer":6}
        ats A web bf 6
        reserve r2 A:1 in bf for c-1 -> LIMIT_EXCEEDED per_customer
        campaign bf +0 +600 B:1 {"per_customer":6}
        ats A web 84
        release r1
        ats A web 90
    """,
    "a campaign that is over can be put anew": """
        level A@DC1 90 v1
        campaign bf +0 +5 A:10 {"per_customer":1}
        reserve r1 A:1 in bf for c-1
        confirm r1
        wait 6
        campaign bf +0 +5 A:10 {"per_customer":1}
        ats A web bf 10
        reserve r2 A:1 in bf for c-1
        release r1
        ats A web bf 9
    """,
    "a hold of a campaign lives as long as the campaign says, and may be confirmed after it (R23)": """
        level A@DC1 9 v1
        campaign bf +0 +5 A:5 {"ttl_seconds":20}
        reserve r1 A:1 in bf ttl 21 -> LIMIT_EXCEEDED ttl
        reserve r2 A:1 in bf ttl 0
        wait 10
        confirm r2
        campaign eve +0 +5 A:5 {"ttl_seconds":5}
        reserve r3 A:2 in eve ttl 0
        wait 10
        = A@DC1 8 0 1
        confirm r3 reacquire
        = A@DC1 6 0 3
    """,
    "a late payment keeps to the campaign's limit of a customer (R17, R23)": """
        level A@DC1 20 v1
        level B@DC1 20 v1
        campaign bf +0 +60 A:10,B:10 {"per_customer":2}
        reserve r1 A:2 B:1 in bf for c-1 ttl 1
        wait 5
        reserve r2 A:1 B:1 in bf for c-1
        confirm r1 reacquire -> LIMIT_EXCEEDED per_customer
        ats A web bf 9
        reserve r3 A:1 in bf for c-1 ttl 1
        settle 0
        pass 4
        confirm r1 reacquire -> AGAIN
        settle 256
        release r2
        confirm r1 reacquire
        reserve r4 A:1 in bf for c-1 -> LIMIT_EXCEEDED per_customer
        reserve r4 B:1 as 2 in bf for c-1
        ats A web bf 8
    """,
    "the tombstone of an expired hold keeps to it, too": """
        level A@DC1 20 v1
        campaign bf +0 +6000 A:10 {"per_customer":2}
        reserve r1 A:2 in bf for c-1 ttl 1
        wait 5
        journal
        wait 901
        gone r1
        reserve r2 A:1 in bf for c-1
        confirm r1 reacquire journaled -> LIMIT_EXCEEDED per_customer
        gone r1
        release r2
        confirm r1 reacquire journaled
        ats A web bf 8
    """,
    "a late payment takes nothing from a campaign that only has the name of its own": """
        level A@DC1 12 v1
        campaign bf +0 +5 A:10 {"per_customer":4}
        reserve r1 A:4 in bf for c-1 ttl 1
        wait 10
        campaign bf +0 +60 A:10 {"per_customer":4}
        reserve r2 A:4 in bf for c-1
        confirm r1 reacquire -> INSUFFICIENT
        level A@DC1 14 v2
        confirm r1 reacquire
        ats A web 0
        ats A web bf 6
        reserve r3 A:6 in bf for c-2 -> LIMIT_EXCEEDED per_customer
        = A@DC1 6 4 4
    """,
    "a late payment goes where its channel may sell by then (R32)": """
        level A@DC1 9 v1
        level A@DC2 3 v1
        reserve r1 A:2 via amazon ttl 1
        reserve r2 A:4 via amazon ttl 1
        wait 5
        channel amazon {"locations":["DC2"]}
        confirm r1 reacquire
        = A@DC1 9 0 0
        = A@DC2 1 0 2
        confirm r2 reacquire -> INSUFFICIENT
    """,
    "a campaign whose window is over takes nothing from anybody": """
        level A@DC1 9 v1
        campaign eve -5 -1 A:9
        ats A web 9
        reserve r1 A:1
        campaign bf +0 +5 A:8
        wait 6
        share A c1 {"protection":1}
        share A c2 {"protection":1}
        share A c3 {"protection":1}
        share A c4 {"protection":1}
        share A c5 {"protection":1}
        share A c6 {"protection":1}
        share A c7 {"protection":1}
        share A c8 {"protection":1}
        campaign bf -60 -5 A:8
        ats A web 0
        ats A c1 1
        campaign bf +0 +5 A:8 -> LIMIT_EXCEEDED protections
    """,
    "a campaign that ends in an outage leaves its holds the time that an outage gives (R22, R23)": """
        level A@DC1 10 v1
        share A web {"protection":2}
        campaign bf +0 +20 A:5 {"per_customer":2}
        reserve r1 A:2 in bf for c-1 ttl 10
        outage 60
        ats A web 8
        ats A app 6
        confirm r1
        campaign bf +0 +20 A:5 {"per_customer":2}
        reserve r2 A:2 in bf for c-1
        release r1
        reserve r3 A:1 in bf for c-1 -> LIMIT_EXCEEDED per_customer
        ats A web bf 3
    """,
    "a hold of a campaign that is over is replaced by one without it, and kept when that is refused (R37)": """
        level A@DC1 10 v1
        campaign bf +0 +5 A:5 {"per_customer":2}
        reserve r1 A:2 in bf for c-1 ttl 100
        wait 6
        reserve r2 A:2 replaces r1 in bf for c-1 -> CAMPAIGN_CLOSED
        = r1 held 1:2/0
        reserve r2 A:2 replaces r1 as 2 for c-1
        = r1 released 1:0/0
        ats A web 8
    """,
    "the edges of a window are told": """
        level A@DC1 9 v1
        campaign bf +5 +10 A:5
        wait 5
        wait 5
        campaign eve -5 -1 A:5
        wait 0
        ats A web 9
    """,
}
TABLES = SHARES | PLACES | CAMPAIGNS


@pytest.mark.parametrize("name", TABLES)
def test_selling(table: Table, name: str) -> None:
    table.run(TABLES[name])
