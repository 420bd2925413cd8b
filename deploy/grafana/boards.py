"""The dashboards: a plant over its limits, one unit, and how far the data can be trusted.

Every question reads tables that the ledger keeps anyway (docs/store.md); none computes a figure
anew, so that a dashboard says what the page and the law's evidence say.
"""

from __future__ import annotations

from typing import Final

from deploy.grafana.panels import Dashboard, Kind, Panel, Variable

DAY_S: Final = 86_400
SLOT_S: Final = 900

# Of each period the newest version: the open one, or the last of a closed one.
_NEWEST: Final = (
    "select distinct on (unit, indicator, period, period_start) unit, indicator, period,"
    " period_start, closed, energy, output, intensity, completeness, figures, computed_at"
    " from result"
)
_UNIT: Final = Variable("unit", "Unit 单元", "select distinct unit from result order by 1")
_INDICATOR: Final = Variable(
    "indicator", "Indicator 指标", "select distinct indicator from result order by 1"
)

PLANT: Final = Dashboard(
    uid="danhao-plant",
    title="Danhao · plant 企业单耗总览",
    variables=(_INDICATOR,),
    panels=(
        Panel(
            "Open month against every limit 本月与各限额",
            Kind.TABLE,
            f"select r.unit, r.intensity, (r.figures #>> '{{intensity,uncertainty}}')::numeric"
            " as uncertainty, v ->> 'limit' as limit, (v ->> 'limit_value')::numeric as"
            " limit_value, v ->> 'verdict' as verdict, r.completeness, r.computed_at"
            f" from ({_NEWEST} where period = 'month' and period_end > now()"
            " and indicator = '$indicator'"
            " order by unit, indicator, period, period_start, version desc) r"
            " cross join lateral jsonb_array_elements(r.figures -> 'verdicts') v"
            " order by r.unit, limit_value",
            width=24,
        ),
        Panel(
            "Intensity per day 日单耗",
            Kind.SERIES,
            f"select period_start as time, unit as metric, intensity from ({_NEWEST}"
            " where period = 'day' and indicator = '$indicator' and $__timeFilter(period_start)"
            " order by unit, indicator, period, period_start, version desc) r order by 1",
            step_s=DAY_S,
            width=24,
        ),
        Panel(
            "Alerts that are not over 未解除报警",
            Kind.TABLE,
            "select severity, kind, coalesce(unit, subject) as about,"
            " coalesce(limit_id, condition) as what, state, raised_at, acknowledged_by"
            " from alert where state in ('firing', 'clearing') order by severity desc, raised_at",
            width=24,
        ),
    ),
)
UNIT: Final = Dashboard(
    uid="danhao-unit",
    title="Danhao · unit 单元单耗",
    since="now-7d",
    variables=(_UNIT, _INDICATOR),
    panels=(
        Panel(
            "Intensity per day, and every limit 日单耗与限额",
            Kind.SERIES,
            "select time, metric, value from (select r.period_start as time, r.unit as metric,"
            f" r.intensity as value from ({_NEWEST} where unit = '$unit' and period = 'day'"
            " and indicator = '$indicator' and $__timeFilter(period_start)"
            " order by unit, indicator, period, period_start, version desc) r union all"
            " select r.period_start, v ->> 'limit', (v ->> 'limit_value')::numeric"
            f" from ({_NEWEST} where unit = '$unit' and period = 'day'"
            " and indicator = '$indicator' and $__timeFilter(period_start)"
            " order by unit, indicator, period, period_start, version desc) r"
            " cross join lateral jsonb_array_elements(r.figures -> 'verdicts') v) s order by 1",
            step_s=DAY_S,
            width=24,
        ),
        Panel(
            "Energy per quarter of an hour, by meter 每 15 分钟电量",
            Kind.SERIES,
            "select s.slot_start as time, p.point as metric, s.energy_e6 / 1e6 as energy"
            " from slot_energy s join point p using (point_id) where p.point like '$unit.%'"
            " and $__timeFilter(s.slot_start) order by 1",
            step_s=SLOT_S,
        ),
        Panel(
            "How much of each slot was measured 数据完整率",
            Kind.SERIES,
            "select s.slot_start as time, p.point as metric, s.measured_us / 9e8 as completeness"
            " from slot_energy s join point p using (point_id) where p.point like '$unit.%'"
            " and $__timeFilter(s.slot_start) order by 1",
            unit="percentunit",
            step_s=SLOT_S,
        ),
        Panel(
            "Output 产量",
            Kind.TABLE,
            "select distinct on (site, id) id, at, kind, coalesce(stream, '') as stream,"
            " mass_e6 / 1e6 as amount, coalesce(amount_unit, 't') as unit, revision, source"
            " from output_fact where unit = '$unit' and $__timeFilter(at)"
            " order by site, id, revision desc",
            width=24,
        ),
    ),
)
TRUST: Final = Dashboard(
    uid="danhao-data",
    title="Danhao · data and agents 数据与网关",
    since="now-24h",
    panels=(
        Panel(
            "Agents 网关",
            Kind.TABLE,
            "select site, agent, state, seen_at, depth, oldest_at, clock_offset_ms"
            " from agent_status order by seen_at",
            width=24,
        ),
        Panel(
            "Meters that are silent 无数据计量点",
            Kind.TABLE,
            "select p.point, l.ts as last_reading, now() - l.ts as silent_for from point p"
            " left join point_latest l using (point_id)"
            " where l.ts is null or l.ts < now() - interval '10 minutes' order by l.ts nulls first"
            " limit 500",
        ),
        Panel(
            "Dead letters 拒收数据",
            Kind.SERIES,
            "select date_bin('1 hour', recorded_at, timestamptz 'epoch') as time,"
            " reason as metric, count(*) as letters from dead_letter"
            " where $__timeFilter(recorded_at) group by 1, 2 order by 1",
        ),
        Panel(
            "What waits to be delivered 待送达通知",
            Kind.TABLE,
            "select channel, state, count(*) as notifications, min(created_at) as oldest"
            " from notification group by 1, 2 order by 1, 2",
        ),
        Panel(
            "Newest reading of the store 最新数据时间",
            Kind.STAT,
            "select extract(epoch from now() - max(ts)) as age from point_latest",
            unit="s",
        ),
    ),
)
DASHBOARDS: Final = (PLANT, UNIT, TRUST)
