// From a period's verdicts to what a viewer sees: which limit leads, how far the value stands from
// it, and the one state a unit is drawn in. A unit without fresh data is never drawn as normal.

import { numberOf } from './figures.ts'
import { instant } from './plant_time.ts'
import type { PeriodItem, PeriodVerdict, UnitView } from './wire.ts'

/** Within the limit but closer than this is drawn as near. */
export const NEAR_DEVIATION = -0.005
/** Below this completeness a figure carries a mark even where its limit asks for less. */
export const COMPLETE_ENOUGH = 0.9

export type Standing =
  | 'within'
  | 'near'
  | 'exceeds'
  | 'indeterminate'
  | 'incomplete'
  | 'unjudged'
  | 'stale'

export const STANDINGS: readonly Standing[] = [
  'exceeds',
  'stale',
  'incomplete',
  'indeterminate',
  'near',
  'within',
  'unjudged',
]
/** States that ask for a look; the filter "abnormal only" keeps these. */
export const ABNORMAL: ReadonlySet<Standing> = new Set([
  'exceeds',
  'stale',
  'incomplete',
  'indeterminate',
])

const FORCE_RANK: Readonly<Record<string, number>> = { mandatory: 0, target: 1, reference: 2 }

/** Sorts as read: what binds first, lapsed last, the limit for existing plant (level 3) ahead. */
export function byForce(a: PeriodVerdict, b: PeriodVerdict): number {
  const rank = (v: PeriodVerdict): number =>
    (v.verdict === 'not_applicable' ? 100 : 0) +
    (v.lapsed ? 10 : 0) +
    (FORCE_RANK[v.force] ?? 3)
  return rank(a) - rank(b) || (b.level ?? 0) - (a.level ?? 0) || a.limit.localeCompare(b.limit)
}

/** How loud an exceedance is: red, orange, an orange outline, or no colour at all. */
export type Grade = 'mandatory' | 'target' | 'lapsed' | 'reference'
const GRADES: readonly Grade[] = ['mandatory', 'target', 'lapsed', 'reference']

/** The grade of exceeding a limit of this force; a force new to the page is told, not coloured. */
export function gradeOf(limit: { force?: string; lapsed?: boolean }): Grade {
  if (limit.force !== 'mandatory' && limit.force !== 'target') return 'reference'
  return limit.lapsed ? 'lapsed' : limit.force
}

/** Of the limits a value exceeds, the one that binds hardest, and of equals the strictest. */
export function gravest(item: PeriodItem | undefined): PeriodVerdict | undefined {
  const rank = (v: PeriodVerdict): number => GRADES.indexOf(gradeOf(v))
  return item?.verdicts
    .filter((v) => v.verdict === 'exceeds')
    .sort((a, b) => rank(a) - rank(b) || (deviation(item, b) ?? 0) - (deviation(item, a) ?? 0))[0]
}

/** Whether exceeding it must be seen at a glance: a mandatory limit or a target, even lapsed. */
function colours(verdict: PeriodVerdict | undefined): verdict is PeriodVerdict {
  return verdict !== undefined && gradeOf(verdict) !== 'reference'
}

/** The verdict that leads: mandatory before target before reference, lapsed ones last. */
export function leading(item: PeriodItem | undefined): PeriodVerdict | undefined {
  if (!item) return undefined
  const judged = item.verdicts.filter((v) => v.verdict !== 'not_applicable')
  return judged.sort(byForce)[0]
}

/** (value − limit) / limit; positive is worse: a lower limit's sign is turned. */
export function deviation(item: PeriodItem | undefined, verdict?: PeriodVerdict): number | null {
  const value = numberOf(item?.intensity?.value)
  const limit = numberOf(verdict?.limit_value)
  if (value === null || limit === null || limit === 0) return null
  const ratio = (value - limit) / limit
  return verdict?.cmp?.startsWith('>') ? -ratio : ratio
}

const readAt = new WeakMap<UnitView['live'], number | null>()

/** Seconds since the unit's newest live reading, or null when it never had one. */
export function ageSeconds(unit: UnitView, nowMs: number): number | null {
  let at = readAt.get(unit.live)
  if (at === undefined) readAt.set(unit.live, (at = instant(unit.live.measured_at)))
  return at === null ? null : Math.max(0, (nowMs - at) / 1000)
}

/** Whether a unit's live reading is older than its source allows, or absent. */
export function isStale(unit: UnitView, nowMs: number): boolean {
  const age = ageSeconds(unit, nowMs)
  return age === null || age > unit.live.allowed_age_s
}

export interface Judged {
  readonly standing: Standing
  readonly item: PeriodItem | undefined
  readonly verdict: PeriodVerdict | undefined
  readonly deviation: number | null
  readonly value: number | null
  readonly incomplete: boolean
  /** The limit whose exceeding colours the unit; none where only references are exceeded. */
  readonly over: PeriodVerdict | undefined
  readonly grade: Grade | undefined
  /** Reference limits it exceeds: told, never coloured. */
  readonly notedExceeds: number
  /** Another indicator of the unit exceeds a limit that colours. */
  readonly elsewhere: boolean
}

export type Span = 'month' | 'day'

interface Held {
  readonly fresh: Judged
  readonly stale: Judged
}
/** Figures never change once received, so they are judged once, however often they are drawn. */
const judgements = new WeakMap<readonly PeriodItem[], Map<string, Held>>()

/** What a unit shows for its open month or day, on its first indicator or a named one. */
export function judge(unit: UnitView, span: Span, nowMs: number, indicator?: string): Judged {
  const items = span === 'month' ? unit.current : unit.today
  const wanted = indicator ?? unit.indicators[0] ?? ''
  let held = judgements.get(items)
  if (!held) judgements.set(items, (held = new Map()))
  let found = held.get(wanted)
  if (!found) {
    const fresh = judgeFresh(items, wanted)
    found = { fresh, stale: { ...fresh, standing: 'stale' } }
    held.set(wanted, found)
  }
  return isStale(unit, nowMs) ? found.stale : found.fresh
}

function judgeFresh(items: readonly PeriodItem[], wanted: string): Judged {
  const item = items.find((candidate) => candidate.indicator === wanted)
  const verdict = leading(item)
  const ratio = deviation(item, verdict)
  const completeness = item?.completeness ?? null
  const worst = gravest(item)
  const over = colours(worst) ? worst : undefined
  return {
    item,
    verdict,
    deviation: ratio,
    value: numberOf(item?.intensity?.value),
    incomplete: completeness !== null && completeness < COMPLETE_ENOUGH,
    over,
    grade: over ? gradeOf(over) : verdict?.verdict === 'exceeds' ? 'reference' : undefined,
    notedExceeds:
      item?.verdicts.filter((v) => v.verdict === 'exceeds' && v.force === 'reference').length ?? 0,
    elsewhere: items.some((other) => other !== item && colours(gravest(other))),
    standing: over ? 'exceeds' : standingOf(item, verdict, ratio),
  }
}

function standingOf(
  item: PeriodItem | undefined,
  verdict: PeriodVerdict | undefined,
  ratio: number | null,
): Standing {
  if (!item) return 'unjudged'
  if (!verdict) return numberOf(item.intensity?.value) === null ? 'incomplete' : 'unjudged'
  switch (verdict.verdict) {
    case 'within':
      return ratio !== null && ratio >= NEAR_DEVIATION ? 'near' : 'within'
    case 'not_applicable':
      return 'unjudged'
    default:
      return verdict.verdict
  }
}

/** Whether the unit asks for a look: the filter "abnormal only" and the keys n and N keep it. */
export function isAbnormal(judged: Judged): boolean {
  return ABNORMAL.has(judged.standing) || judged.elsewhere
}
