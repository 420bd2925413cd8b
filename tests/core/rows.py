"""Rows of the domain notes as worked examples: indicator, meters, facts, the figure by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from tests.core.factbook import fact
from tests.core.worked import END, MIDDLE, START, Meter, stock


def kwh(amount: str, role: str = "process", sign: int = 1) -> Meter:
    """Return a meter of electricity."""
    return Meter("electricity", "kWh", amount, role, sign)


AC = kwh("12800000")
STEEL = fact(MIDDLE, "weighing", "1000", "crude_steel")
OF_2020 = datetime(2020, 12, 31, tzinfo=UTC)
KWH = Fraction("0.1229")


POTS = [
    fact(MIDDLE, "tapping", "990"),
    stock(START - timedelta(hours=8), "5000", "metal_in_pots"),
    stock(END - timedelta(hours=8), "5010", "metal_in_pots"),
]
TAPPED_SI = [fact(MIDDLE, "tapping", "80", Si="0.725")]
TAPPED_CR = [fact(MIDDLE, "tapping", "100", Cr="0.58")]
CLINKER = [fact(MIDDLE, "weighing", "1000")]
BASE = [
    fact(OF_2020, "base", "1000", "comprehensive_energy", "tce"),
    fact(OF_2020, "base", "500", "value_added", "10k_cny"),
    fact(MIDDLE, "use", "70", "comprehensive_energy", "tce"),
    fact(MIDDLE, "weighing", "40", "value_added", "10k_cny"),
]
QUOTA = [
    fact(MIDDLE, "receipt", "75", "energy_quota_industry", "tce"),
    fact(MIDDLE, "receipt", "100", "energy_quota", "tce"),
]
# Row, indicator, meters, facts, keys of the unit, the figure worked out by hand.
ROWS = [
    ("A01", "al.liquid.ac", [AC], POTS, 'output_by = "pots"', Fraction(12800)),
    (
        "A02",
        "al.ingot.ac_comprehensive",
        [AC, Meter("electricity", "MWh", "400", "casting"), kwh("100000", "auxiliary")],
        [fact(MIDDLE, "weighing", "1000")],
        "",
        Fraction(13300),
    ),
    (
        "A03 alumina",
        "al.alumina",
        [],
        [*POTS, fact(MIDDLE, "charge", "1920", "alumina")],
        'output_by = "pots"',
        Fraction(1920),
    ),
    (
        "A03 fluoride salt",
        "al.fluoride_salt",
        [],
        [*POTS, fact(MIDDLE, "charge", "18000", "fluoride_salt", "kg")],
        'output_by = "pots"',
        Fraction(18),
    ),
    (
        "A03 anode",
        "al.anode_carbon",
        [],
        [*POTS, fact(MIDDLE, "charge", "410", "anode_carbon")],
        'output_by = "pots"',
        Fraction(410),
    ),
    (
        "A03 water",
        "al.fresh_water",
        [Meter("fresh_water", "m3", "2500")],
        POTS,
        'output_by = "pots"',
        Fraction("2.5"),
    ),
    (
        "A03 fluoride",
        "al.fluoride",
        [Meter("fluoride", "kg", "600")],
        POTS,
        'output_by = "pots"',
        Fraction("0.6"),
    ),
    (
        "A04",
        "lead.crude.comprehensive",
        [
            kwh("1000000"),
            Meter("coke", "t", "100"),
            Meter(
                "steam",
                "t",
                "10",
                "recovered",
                -1,
                more='heating_value = [{ from = 2026-01-01T00:00:00Z, value = "2930.76" }]',
            ),
        ],
        [fact(MIDDLE, "weighing", "1000")],
        "",
        (1_000_000 * KWH + 97_140 - 1_000) / 1000,
    ),
    (
        "A05",
        "zinc.wet.comprehensive",
        [kwh("4000000")],
        [fact(MIDDLE, "weighing", "1000")],
        "",
        4000 * KWH,
    ),
    (
        "A06",
        "steel.enterprise.comprehensive",
        [kwh("500000", "purchased"), kwh("100000", "sold", -1)],
        [
            STEEL,
            stock(START, "300", "coke"),
            stock(END, "250", "coke"),
            fact(MIDDLE, "receipt", "500", "coke"),
            fact(MIDDLE, "shipment", "20", "coke"),
        ],
        'accounts = { coke = "balance" }\nproduct = "crude_steel"',
        (400_000 * KWH + 530_000 * Fraction("0.9714")) / 1000,
    ),
    (
        "A07",
        "steel.dust",
        [
            Meter("dust", "kg/h", "500", "stack-1", kind="gauge"),
            Meter("dust", "t", "0.3", "stack-2"),
        ],
        [STEEL],
        "",
        Fraction("0.8"),
    ),
    ("A08", "steel.so2", [Meter("sulphur_dioxide", "kg", "680")], [STEEL], "", Fraction("0.68")),
    (
        "A09",
        "steel.fresh_water",
        [Meter("fresh_water", "m3", "3200")],
        [STEEL],
        "",
        Fraction("3.2"),
    ),
    (
        "A10",
        "steel.slag_use",
        [],
        [
            fact(MIDDLE, "use", "95", "smelting_slag"),
            fact(MIDDLE, "weighing", "100", "smelting_slag"),
            STEEL,
        ],
        "",
        Fraction(95),
    ),
    ("A11", "fesi.smelting", [kwh("640000")], TAPPED_SI, "", Fraction(640_000 * 75, 5800)),
    (
        "A11 net",
        "fesi.smelting_net",
        [kwh("640000"), kwh("60000", "waste-heat-power", -1)],
        TAPPED_SI,
        "",
        Fraction(580_000 * 75, 5800),
    ),
    ("A12", "hcfecr.smelting", [kwh("324800")], TAPPED_CR, "", Fraction(2800)),
    ("A12 charge", "chargefecr.smelting", [kwh("324800")], TAPPED_CR, "", Fraction(2800)),
    ("A12 medium low", "mlcfecr.smelting", [kwh("324800")], TAPPED_CR, "", Fraction(2800)),
    (
        "A13",
        "ferroalloy.dust_concentration",
        [
            Meter("dust_concentration", "mg/m3", "13392", "stack-1", kind="gauge"),
            Meter("dust_concentration", "mg/m3", "7440", "stack-2", kind="gauge"),
        ],
        [],
        "",
        Fraction(18),
    ),
    (
        "A14",
        "nonferrous.flue_gas_so2",
        [Meter("sulphur_dioxide_share", "%", "2604", kind="gauge")],
        [],
        "",
        Fraction("3.5"),
    ),
    (
        "A15",
        "clinker.comprehensive",
        [kwh("57000"), Meter("raw_coal", "kg", "140000"), kwh("30000", "waste-heat-power", -1)],
        CLINKER,
        "",
        140 * Fraction("0.7143") + 27 * KWH,
    ),
    (
        "A15 at 0.404",
        "clinker.comprehensive_credit_0404",
        [kwh("57000"), Meter("raw_coal", "kg", "140000"), kwh("30000", "waste-heat-power", -1)],
        CLINKER,
        "",
        140 * Fraction("0.7143") + 57 * KWH - 30 * Fraction("0.404"),
    ),
    (
        "A16",
        "cement.slag_use",
        [],
        [fact(MIDDLE, "charge", "25", "waste_slag"), fact(MIDDLE, "charge", "100", "mill_feed")],
        "",
        Fraction(25),
    ),
    (
        "A17",
        "cement.comprehensive",
        [kwh("90000", "preparation"), Meter("raw_coal", "kg", "100000")],
        CLINKER,
        "",
        100 * Fraction("0.7143") + 90 * KWH,
    ),
    (
        "A18",
        "polysilicon.electricity",
        [Meter("electricity", "MWh", "5000")],
        [fact(MIDDLE, "weighing", "100000", None, "kg")],
        "",
        Fraction(50),
    ),
    (
        "A19",
        "monosilicon.electricity",
        [Meter("electricity", "MWh", "4500")],
        [fact(MIDDLE, "weighing", "100")],
        "",
        Fraction(45),
    ),
    (
        "A20",
        "pv.cell.electricity",
        [kwh("9900000")],
        [
            fact(MIDDLE, "weighing", "99", "pv_cell", "MW"),
            fact(MIDDLE, "weighing", "5", "pv_module", "MW"),
        ],
        "",
        Fraction(100_000),
    ),
    (
        "A21",
        "pv.module.electricity",
        [kwh("60000")],
        [fact(MIDDLE, "weighing", "1000", None, "kW")],
        "",
        Fraction(60_000),
    ),
    (
        "A22",
        "pv.thin_film.electricity",
        [kwh("500000")],
        [fact(MIDDLE, "weighing", "1", None, "MW")],
        "",
        Fraction(500_000),
    ),
    (
        "A23",
        "salt_lake.potassium_recovery",
        [],
        [
            fact(MIDDLE, "weighing", "14", "potassium_product", K="0.5"),
            fact(MIDDLE, "charge", "1000", "brine", K="0.01"),
        ],
        "",
        Fraction(70),
    ),
    (
        "A24",
        "salt_lake.lithium_recovery",
        [],
        [
            fact(MIDDLE, "weighing", "4", "lithium_product", Li="0.2"),
            fact(MIDDLE, "charge", "1000", "brine", Li="0.001"),
        ],
        "",
        Fraction(80),
    ),
    (
        "A25",
        "industry.solid_waste_use",
        [],
        [fact(MIDDLE, "use", "60", "solid_waste"), fact(START, "weighing", "100", "solid_waste")],
        "",
        Fraction(60),
    ),
    ("A26", "industry.energy_per_value_added", [], BASE, "", Fraction("-12.5")),
    ("A27", "industry.quota_share", [], QUOTA, "", Fraction(75)),
    (
        "1.4",
        "al.liquid.ac_comprehensive",
        [AC, kwh("500000", "auxiliary")],
        POTS,
        'output_by = "pots"',
        Fraction(13300),
    ),
    (
        "1.4",
        "al.ingot.comprehensive",
        [kwh("13000000"), Meter("diesel", "kg", "1000", "casting")],
        CLINKER,
        "",
        13_000 * KWH + Fraction("1.4571"),
    ),
    (
        "1.4",
        "fesi.comprehensive",
        [kwh("640000"), Meter("coke", "t", "60")],
        TAPPED_SI,
        "",
        (640_000 * KWH + 58_284) / Fraction(5800, 75),
    ),
    (
        "1.4",
        "hcfecr.comprehensive",
        [kwh("1000"), Meter("coke", "t", "10")],
        TAPPED_CR,
        "",
        (1000 * KWH + 9714) / 116,
    ),
    (
        "1.4",
        "chargefecr.comprehensive",
        [kwh("1000"), Meter("coke", "t", "10")],
        TAPPED_CR,
        "",
        (1000 * KWH + 9714) / 116,
    ),
    (
        "1.4",
        "mlcfecr.comprehensive",
        [kwh("1000"), Meter("coke", "t", "10")],
        TAPPED_CR,
        "",
        (1000 * KWH + 9714) / 116,
    ),
    (
        "1.4",
        "cac2.furnace",
        [kwh("770000")],
        [fact(MIDDLE, "tapping", "250", gas_yield="290")],
        "",
        Fraction(770_000 * 300, 250 * 290),
    ),
    (
        "1.4",
        "cac2.comprehensive",
        [kwh("770000"), Meter("coke", "t", "100")],
        [fact(MIDDLE, "tapping", "250", gas_yield="300")],
        "",
        (770_000 * KWH + 97_140) / 250,
    ),
    ("1.4", "clinker.electricity", [kwh("57000")], CLINKER, "", Fraction(57)),
    (
        "1.4",
        "clinker.coal",
        [Meter("raw_coal", "kg", "140000")],
        CLINKER,
        "",
        140 * Fraction("0.7143"),
    ),
    ("1.4", "cement.preparation", [kwh("29000", "preparation"), AC], CLINKER, "", Fraction(29)),
    ("1.4", "lead.refined.comprehensive", [kwh("1000000")], CLINKER, "", 1000 * KWH),
    ("1.4", "lead.electrorefining.comprehensive", [kwh("1000000")], CLINKER, "", 1000 * KWH),
    ("1.4", "zinc.wet.with_slag.comprehensive", [kwh("4000000")], CLINKER, "", 4000 * KWH),
    ("1.4", "zinc.wet.without_slag.comprehensive", [kwh("4000000")], CLINKER, "", 4000 * KWH),
    (
        "1.4",
        "polysilicon.comprehensive",
        [kwh("5000000")],
        [fact(MIDDLE, "weighing", "100000", None, "kg")],
        "",
        50 * KWH,
    ),
    (
        "1.4",
        "monosilicon.comprehensive",
        [kwh("2000000")],
        [fact(MIDDLE, "weighing", "100")],
        "",
        20 * KWH,
    ),
    (
        "1.4",
        "steel.sinter.comprehensive",
        [kwh("45000"), Meter("coke", "t", "40")],
        CLINKER,
        "",
        45 * KWH + Fraction("38.856"),
    ),
    ("1.4", "steel.pellet.comprehensive", [kwh("30000")], CLINKER, "", 30 * KWH),
    (
        "1.4",
        "steel.blast_furnace.comprehensive",
        [
            kwh("1000"),
            Meter("coke", "t", "400"),
            Meter("blast_furnace_gas", "m3", "1000000", "recovered", -1),
        ],
        CLINKER,
        "",
        KWH + Fraction("388.56") - Fraction("128.6"),
    ),
    (
        "1.4 negative",
        "steel.converter.comprehensive",
        [kwh("50000"), Meter("thermal_energy", "GJ", "1000", "recovered", -1)],
        CLINKER,
        "",
        50 * KWH - Fraction("34.12"),
    ),
    (
        "value added",
        "enterprise.energy_per_value_added",
        [kwh("1000000", "purchased")],
        [fact(MIDDLE, "weighing", "500", "value_added", "10k_cny")],
        "",
        2000 * KWH,
    ),
]
