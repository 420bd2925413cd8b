// Which units the matrix shows, in which order, under which headings. Physical order by default:
// people find a pot by where it is, so nothing moves by itself.

import { isAbnormal, judge, type Grade, type Judged, type Span } from '../core/verdicts.ts'
import type { UnitView } from '../core/wire.ts'

export interface Choice {
  readonly span: Span
  readonly order: 'position' | 'deviation'
  readonly abnormal: boolean
  /** Only this site, or every one. */
  readonly site: string | null
  readonly nowMs: number
}

export interface Group {
  readonly key: string
  readonly site: string
  /** The unit whose children these are; null for the site's own units. */
  readonly parent: string | null
  /** Positions in the store's array. */
  readonly members: readonly number[]
}

/** The groups to draw: each site's own units first, then each parent's children. */
export function groupsOf(units: readonly UnitView[], choice: Choice): Group[] {
  const groups = new Map<string, { site: string; parent: string | null; members: number[] }>()
  const known = new Set(units.map((unit) => unit.unit))
  const sites = [...new Set(units.map((unit) => unit.site))]
  for (const site of sites) groups.set(site, { site, parent: null, members: [] })
  units.forEach((unit, at) => {
    if (choice.site !== null && unit.site !== choice.site) return
    if (choice.abnormal && !isAbnormal(judge(unit, choice.span, choice.nowMs))) return
    const parent = unit.parent !== null && known.has(unit.parent) ? unit.parent : null
    const key = parent === null ? unit.site : `${unit.site}/${parent}`
    const group = groups.get(key)
    if (group) group.members.push(at)
    else groups.set(key, { site: unit.site, parent, members: [at] })
  })
  return sites
    .flatMap((site) => [...groups].filter(([, group]) => group.site === site))
    .filter(([, group]) => group.members.length > 0)
    .map(([key, group]) => ({ key, ...group, members: ordered(units, group.members, choice) }))
}

function ordered(units: readonly UnitView[], members: number[], choice: Choice): number[] {
  if (choice.order === 'position') return members
  const worth = (at: number): number => {
    const unit = units[at]
    const ratio = unit ? judge(unit, choice.span, choice.nowMs).deviation : null
    return ratio ?? Number.NEGATIVE_INFINITY
  }
  return [...members].sort((a, b) => worth(b) - worth(a) || a - b)
}

export interface Count {
  readonly units: number
  readonly by: Readonly<Record<Judged['standing'], number>>
  /** Of those that exceed: how many in which grade. */
  readonly grades: Readonly<Record<Grade, number>>
}

/** How many units stand in which state. */
export function countsOf(units: readonly UnitView[], choice: Choice): Count {
  const by = {
    within: 0,
    near: 0,
    exceeds: 0,
    indeterminate: 0,
    incomplete: 0,
    unjudged: 0,
    stale: 0,
  }
  const grades = { mandatory: 0, target: 0, lapsed: 0, reference: 0 }
  let total = 0
  for (const unit of units) {
    if (choice.site !== null && unit.site !== choice.site) continue
    total += 1
    const judged = judge(unit, choice.span, choice.nowMs)
    by[judged.standing] += 1
    if (judged.standing === 'exceeds') grades[judged.grade ?? 'reference'] += 1
  }
  return { units: total, by, grades }
}
