"""What the API answers, as far as a caller reads it: written from the contract, not from the service's own types."""

from msgspec import Struct, json


class Allocation(Struct):
    location: str
    quantity: int


class Line(Struct):
    line_id: str
    sku: str
    requested: int
    quantity: int
    held: int
    committed: int
    fulfilled: int
    released: int
    expired: int
    allocations: list[Allocation]

    def places(self) -> dict[str, int]:
        """Location → units."""
        found: dict[str, int] = {}
        for a in self.allocations:
            found[a.location] = found.get(a.location, 0) + a.quantity
        return found


class Reservation(Struct):
    id: str
    state: str
    lines: list[Line]
    position: str


class Fault(Struct):
    sku: str = ""
    requested: int = 0
    available: int = 0
    largest_quantity: int = 0


class Problem(Struct):
    type: str
    errors: list[Fault] = []

    @property
    def code(self) -> str:
        """The stable end of the type."""
        return self.type.rsplit(":", 1)[-1].rsplit("/", 1)[-1]


class Place(Struct):
    location: str
    ats: int
    on_hand: int
    safety_stock: int
    held: int
    committed: int


class Availability(Struct):
    sku: str
    ats: int
    held: int
    committed: int
    locations: list[Place]


class AvailabilityList(Struct):
    availability: list[Availability]


reservation = json.Decoder(Reservation).decode
problem = json.Decoder(Problem).decode
availability = json.Decoder(Availability).decode
availability_list = json.Decoder(AvailabilityList).decode
