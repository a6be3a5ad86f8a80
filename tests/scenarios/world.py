"""What random lives choose from."""

LOCATIONS = ("DC1", "DC2", "S-9", "Zürich{1}", "nowhere")
SOURCES = ("wms", "erp", "pos")
LOCATION_BODIES = (
    '{"kind":"warehouse"}',
    '{"kind":"store","priority":2}',
    '{"kind":"warehouse","active":false}',
    '{"kind":"store","priority":1,"sources":[{"source":"erp","role":"authority"},{"source":"pos","role":"shadow"}]}',
)
ITEM_BODIES = (
    "{}", '{"safety_stock":2}', '{"safety_stock":1,"safety_stock_by_location":{"DC1":0,"S-9":5}}',
    '{"on_shortage":"revoke_holds"}', '{"on_shortage":"revoke_holds","victims":"oldest"}',
)  # fmt: skip
SOURCE_BODIES = ('{"kind":"wms"}', '{"kind":"erp","version":"time"}', '{"kind":"wms","measure":"available"}')
