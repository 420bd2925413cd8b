"""The public JSON of production facts: as they are sent, and as they are kept."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas import Schema
from core import output, units


class OutputFactIn(Schema):
    """A production fact as it is sent, by MQTT or here."""

    id: str = Field(max_length=200)
    revision: int = 0
    unit: str
    kind: Literal[
        "tapping",
        "weighing",
        "stock",
        "correction",
        "receipt",
        "shipment",
        "charge",
        "use",
        "base",
    ]
    at: datetime
    stream: str | None = Field(
        None, pattern=rf"^{output.STREAM_PATTERN}$", description="Left out: the unit's product."
    )
    mass_t: str | None = Field(
        None, description="Decimal string with at most six places [t]; else `amount`."
    )
    amount: str | None = Field(None, description="As mass_t, in `amount_unit`.")
    amount_unit: str | None = Field(None, description=f"One of {', '.join(units.OF_FACTS)}.")
    grades: dict[str, str] = Field(
        default_factory=dict,
        description="Mass fractions 0 to 1; gas_yield [L/kg], lhv_kj_per_kg, lhv_kj_per_m3,"
        " feed_per_product.",
    )


class OutputFact(OutputFactIn):
    """A production fact as it is kept, one item a revision."""

    source: str
    recorded_at: datetime
