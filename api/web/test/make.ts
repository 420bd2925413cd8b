// Small builders for the tests.

import type { AlertItem, PeriodItem, PeriodVerdict, UnitView } from '../src/core/wire.ts'

export const NOW = Date.parse('2026-11-21T06:30:00Z')

export function verdict(change: Partial<PeriodVerdict> = {}): PeriodVerdict {
  return {
    limit: 'a.limit',
    force: 'mandatory',
    limit_value: '13350',
    cmp: '<=',
    level: 3,
    verdict: 'within',
    lapsed: false,
    ...change,
  }
}

export function item(change: Partial<PeriodItem> = {}): PeriodItem {
  return {
    indicator: 'al.liquid.ac',
    period: 'month',
    period_start: '2026-11-01T00:00:00+08:00',
    period_end: '2026-12-01T00:00:00+08:00',
    closed: false,
    energy: { value: '1000', estimated: '0', unit: 'kWh' },
    output: { value: '0.08', unit: 't' },
    intensity: { value: '12810', unit: 'kWh/t', uncertainty: '80' },
    completeness: 0.998,
    flags: [],
    verdicts: [verdict()],
    computed_at: '2026-11-21T06:29:59Z',
    ...change,
  }
}

/** A day's item: `2026-11-05`, with a value or none. */
export function dayItem(date: string, value: string | null, limit = '13350'): PeriodItem {
  const next = new Date(Date.parse(`${date}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10)
  return item({
    period: 'day',
    period_start: `${date}T00:00:00+08:00`,
    period_end: `${next}T00:00:00+08:00`,
    closed: true,
    intensity: { value, unit: 'kWh/t', uncertainty: value === null ? null : '80' },
    verdicts: [verdict({ limit_value: limit })],
  })
}

export function unit(change: Partial<UnitView> = {}): UnitView {
  return {
    unit: 'gh-al.potline-1',
    site: 'gh-al',
    site_name: { zh: '示例铝厂', en: 'Demo Aluminium' },
    timezone: 'Asia/Shanghai',
    jurisdiction: 'cn-qh',
    name: { zh: '电解一系列', en: 'Potline 1' },
    kind: 'potline',
    product: 'aluminium_liquid',
    parent: null,
    indicators: ['al.liquid.ac'],
    live: { measured_at: '2026-11-21T06:29:59Z', power_kw: '441000', allowed_age_s: 30 },
    current: [item()],
    today: [],
    ...change,
  }
}

export function alert(change: Partial<AlertItem> = {}): AlertItem {
  return {
    id: 'a1',
    kind: 'exceedance',
    severity: 2,
    state: 'firing',
    unit: 'gh-al.potline-1',
    indicator: 'al.liquid.ac',
    limit: 'a.limit',
    period: 'month',
    period_start: '2026-11-01T00:00:00+08:00',
    value: '13700',
    limit_value: '13350',
    value_unit: 'kWh/t',
    cmp: '<=',
    force: 'mandatory',
    lapsed: false,
    raised_at: '2026-11-21T06:00:00Z',
    delivered_at: null,
    acknowledged_at: null,
    acknowledged_by: null,
    resolved_at: null,
    deliveries: [],
    ...change,
  }
}
