"""What random lives choose from."""

LOCATIONS = ("DC1", "DC2", "S-9", "Zürich{1}", "nowhere")
ORDERS: tuple[str, ...] = ("A-1", "A-2", "Ä-3", "A-4")
SOURCES = ("wms", "erp", "pos")
LOCATION_BODIES = (
    '{"kind":"warehouse","groups":["east"]}',
    '{"kind":"store","priority":2,"groups":["east","shops"]}',
    '{"kind":"warehouse","active":false}',
    '{"kind":"store","priority":1,"sources":[{"source":"erp","role":"authority"},{"source":"pos","role":"shadow"}]}',
    '{"kind":"store","sources":[{"source":"erp","role":"authority"},{"source":"pos","role":"adjuster"},'
    '{"source":"wms","role":"fallback"}]}',
    '{"kind":"warehouse","sources":[{"source":"erp","role":"fallback"},{"source":"wms","role":"authority"},'
    '{"source":"pos","role":"adjuster"}]}',
    '{"kind":"warehouse","sources":[{"source":"erp","role":"adjuster"},{"source":"pos","role":"adjuster"},'
    '{"source":"wms","role":"authority"}]}',
)
ITEM_BODIES = (
    "{}", '{"safety_stock":2}', '{"safety_stock":1,"safety_stock_by_location":{"DC1":0,"S-9":5}}',
    '{"on_shortage":"revoke_holds"}', '{"on_shortage":"revoke_holds","victims":"oldest"}',
)  # fmt: skip
CHANNELS = ("web", "app", "b2b")
CHANNEL_BODIES = (
    "{}",
    '{"priority":2,"max_hold_seconds":600}',
    '{"priority":1,"locations":["DC1"],"location_groups":["shops"]}',
    '{"locations":["DC2","S-9"],"held_units_per_customer":12}',
    '{"location_groups":["east"],"held_units_per_customer":null}',
)
SHARE_BODIES = ("{}", '{"protection":15}', '{"protection":40}', '{"protection":6,"cap":20}', '{"cap":9}')
CAMPAIGNS = ("bf", "eve")
SOURCE_BODIES = (
    '{"kind":"wms"}',
    '{"kind":"erp","version":"time"}',
    '{"kind":"wms","measure":"available"}',
    '{"kind":"wms","measure":"available"}',
    '{"kind":"wms","measure":"sellable"}',
    '{"kind":"erp","stale_after_seconds":2}',
    '{"kind":"wms","measure":"available","stale_after_seconds":5}',
)
