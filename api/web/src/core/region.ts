// Plants by jurisdiction as a regulator scans them, and the positions of a ranking on a line. Pure.

import { isRaised, priorityOf, siteOf } from './alerts.ts'
import { urgencyOf } from './casebook.ts'
import { numberOf } from './figures.ts'
import type { AlertItem, Named, UnitView } from './wire.ts'
import type { Benchmark, Case, RankedPlant } from './wire_work.ts'

export interface PlantRow {
  readonly site: string
  readonly name: Named
  readonly jurisdiction: string
  readonly units: number
  /** Units whose open month exceeds a mandatory limit, and units of which nothing is known. */
  readonly over: number
  readonly unknown: number
  readonly alerts: number
  readonly cases: number
  readonly overdue: number
}

/** The plants in reach, by jurisdiction, those in most trouble first. */
export function plantRows(
  units: readonly UnitView[],
  alerts: readonly AlertItem[],
  cases: readonly Case[],
  now: number,
): PlantRow[] {
  const sites = new Map<string, UnitView[]>()
  for (const unit of units) sites.set(unit.site, [...(sites.get(unit.site) ?? []), unit])
  const rows = [...sites].map(([site, own]) => plantRow(site, own, alerts, cases, now))
  return rows.sort(
    (a, b) =>
      a.jurisdiction.localeCompare(b.jurisdiction) ||
      b.overdue - a.overdue ||
      b.over - a.over ||
      b.alerts - a.alerts ||
      a.site.localeCompare(b.site),
  )
}

function plantRow(
  site: string,
  own: readonly UnitView[],
  alerts: readonly AlertItem[],
  cases: readonly Case[],
  now: number,
): PlantRow {
  const mine = cases.filter((one) => one.site === site)
  return {
    site,
    name: own[0]?.site_name ?? {},
    jurisdiction: own[0]?.jurisdiction ?? '',
    units: own.length,
    over: own.filter((unit) => verdictsOf(unit).some((one) => one === 'exceeds')).length,
    unknown: own.filter((unit) => isUnknown(unit)).length,
    alerts: alerts.filter((one) => siteOf(one) === site && isRaised(one) && priorityOf(one) > 0)
      .length,
    cases: mine.length,
    overdue: mine.filter((one) => urgencyOf(one.waiting, now) === 'overdue').length,
  }
}

function verdictsOf(unit: UnitView): string[] {
  return unit.current.flatMap((item) =>
    item.verdicts.filter((one) => one.force === 'mandatory').map((one) => one.verdict),
  )
}

/** Without any figure of the month nothing is known, which is not the same as being within. */
function isUnknown(unit: UnitView): boolean {
  const figures = unit.current.filter((item) => item.period === 'month')
  return unit.indicators.length > 0 && figures.every((item) => !item.intensity?.value)
}

/** The jurisdictions of the units and every one above them, the widest first. */
export function jurisdictionsOf(units: readonly UnitView[]): string[] {
  const found = new Set<string>()
  for (const unit of units) {
    const steps = unit.jurisdiction.split('-')
    for (let n = 1; n <= steps.length; n += 1) found.add(steps.slice(0, n).join('-'))
  }
  return [...found].sort((a, b) => a.split('-').length - b.split('-').length || a.localeCompare(b))
}

/** Plants with a rank in its order, and those without one. */
export function ranked(of: Benchmark): {
  readonly in: readonly RankedPlant[]
  readonly out: readonly RankedPlant[]
} {
  const within = of.plants.filter((plant) => plant.rank !== null)
  return {
    in: [...within].sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0)),
    out: of.plants.filter((plant) => plant.rank === null),
  }
}

/** Where values stand on a line from 0 to 1, over the span of all of them with a margin. */
export function placed(of: Benchmark): (text: string | null) => number | null {
  const values = [
    ...of.plants.map((plant) => numberOf(plant.value)),
    ...Object.values(of.quartiles ?? {}).map((text) => (typeof text === 'string' ? numberOf(text) : null)),
  ].filter((value) => value !== null)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const width = most > least ? most - least : Math.abs(most) || 1
  return (text) => {
    const value = numberOf(text)
    return value === null ? null : 0.05 + (0.9 * (value - least)) / width
  }
}
