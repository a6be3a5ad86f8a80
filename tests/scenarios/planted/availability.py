"""What is told of availability."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("a seller's own floor is kept from it", "if f.sellers[i][W.NAME] ~= seller_name(channel, campaign) then", "if true then"),
    ("a campaign is told what its channel would have", "if f.sellers[i][W.NAME] ~= seller_name(channel, campaign)", "if f.sellers[i][W.NAME] ~= channel"),
    ("a ceiling is not told", "math.max(0, cap and math.min(cap, units) or units)", "math.max(0, units)"),
    ("a place more counts as empty", "for i = empty_places(b, sku) + 1, #places do\n      units", "for i = empty_places(b, sku) + 2, #places do\n      units"),
    ("floors of everywhere are told to a channel of few places", "if day == '' and at == '' and group == '' and channel_of(b.policies, channel).everywhere then", "if day == '' and at == '' and group == '' then"),
    ("a group is told of all places", "if day == '' and at == '' and group == '' and channel_of", "if day == '' and at == '' and channel_of"),
    ("one place is told of all", "if day == '' and at == '' and group == '' and channel_of", "if day == '' and group == '' and channel_of"),
    ("a day is told of now", "if day == '' and at == '' and group == '' and channel_of", "if at == '' and group == '' and channel_of"),
    ("a campaign is told what it sells when it is closed", "if not may_sell(b, channel, asked[2]) then return 0 end", ""),
    ("a channel is told of a place where it may not sell", "return sells_at(b.policies, channel, at, group) and free_units(s, line, at) or 0", "return free_units(s, line, at)"),
)  # fmt: skip
