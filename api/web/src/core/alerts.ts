// The alerts that are not over, and how an operator reads them: priority before age, what nobody
// has taken note of first. Pure: what an answer or an event changes is a test, not a surprise.

import { numberOf } from './figures.ts'
import { instant } from './plant_time.ts'
import { gradeOf, type Grade } from './verdicts.ts'
import type { AlertItem } from './wire.ts'

/** 1 to 3 ask for action; 0 is an event, told and not counted. */
export type Priority = 0 | 1 | 2 | 3
export const PRIORITIES = [1, 2, 3] as const

export type Held = ReadonlyMap<string, AlertItem>
export const NO_ALERTS: Held = new Map()

/** Severity 4 and 3 are priority 1, 2 is 2, 1 is 3, 0 an event. */
export function priorityOf(alert: Pick<AlertItem, 'severity'>): Priority {
  if (alert.severity >= 3) return 1
  if (alert.severity === 2) return 2
  return alert.severity === 1 ? 3 : 0
}

/** Whether it has been raised and is not over; a pending one may still come to nothing. */
export function isRaised(alert: AlertItem): boolean {
  return alert.state === 'firing' || alert.state === 'clearing'
}

/**
 * Whether another alert speaks for it, or it is not known yet whether one does: the meters behind a
 * dead gateway are one matter. What was told for itself stays.
 */
export function isFolded(alert: AlertItem): boolean {
  const kind = alert.quiet?.kind
  if (kind === 'behind' || kind === 'waiting') return alert.quiet?.told === false
  return alert.kind === 'condition' && alert.state === 'pending'
}

/** What is held after changes; resolved and folded ones leave. */
export function merged(held: Held, changed: readonly AlertItem[]): Held {
  if (changed.length === 0) return held
  const next = new Map(held)
  for (const alert of changed) {
    if (alert.state === 'resolved' || isFolded(alert)) next.delete(alert.id)
    else next.set(alert.id, kept(next.get(alert.id), alert))
  }
  return next
}

/** An acknowledgement stands within its episode: an event that was under way does not undo it. */
function kept(before: AlertItem | undefined, alert: AlertItem): AlertItem {
  if (!before?.acknowledged_at || alert.acknowledged_at) return alert
  if (before.raised_at !== alert.raised_at) return alert
  return {
    ...alert,
    acknowledged_at: before.acknowledged_at,
    acknowledged_by: before.acknowledged_by,
  }
}

/** In reading order: unacknowledged, then by priority, then newest; pending and events last. */
export function listed(held: Held): AlertItem[] {
  const rank = (alert: AlertItem): number =>
    (isRaised(alert) && priorityOf(alert) > 0 ? 0 : 100) +
    (alert.acknowledged_at ? 10 : 0) +
    (priorityOf(alert) || 9)
  const age = (alert: AlertItem): number => instant(alert.raised_at) ?? 0
  return [...held.values()].sort(
    (a, b) => rank(a) - rank(b) || age(b) - age(a) || a.id.localeCompare(b.id),
  )
}

export type Counts = Readonly<Record<1 | 2 | 3, number>> & { readonly unacknowledged: number }

/** Raised alerts per priority, and how many nobody has taken note of. */
export function countsOf(held: Held): Counts {
  const counts = { 1: 0, 2: 0, 3: 0, unacknowledged: 0 }
  for (const alert of held.values()) {
    const priority = priorityOf(alert)
    if (priority === 0 || !isRaised(alert)) continue
    counts[priority] += 1
    if (!alert.acknowledged_at) counts.unacknowledged += 1
  }
  return counts
}

/** What a unit's tile shows of its alerts: the gravest, and whether all are acknowledged. */
export interface AlertMark {
  readonly priority: 1 | 2 | 3
  readonly acknowledged: boolean
}

/** The marks of all units that have raised alerts. */
export function marksOf(held: Held): ReadonlyMap<string, AlertMark> {
  const marks = new Map<string, AlertMark>()
  for (const alert of held.values()) {
    const priority = priorityOf(alert)
    if (priority === 0 || !isRaised(alert) || alert.unit === null) continue
    const before = marks.get(alert.unit)
    marks.set(alert.unit, {
      priority: before && before.priority < priority ? before.priority : priority,
      acknowledged: (before?.acknowledged ?? true) && alert.acknowledged_at !== null,
    })
  }
  return marks
}

/** How far the value stands beyond the limit, positive is worse. */
export function excess(alert: AlertItem): number | null {
  const value = numberOf(alert.value)
  const limit = numberOf(alert.limit_value)
  if (value === null || limit === null || limit === 0) return null
  const ratio = (value - limit) / limit
  return alert.cmp?.startsWith('>') ? -ratio : ratio
}

/** The site an alert concerns; null: it is the service's own. */
export function siteOf(alert: AlertItem): string | null {
  return alert.site ?? alert.unit?.split('.')[0] ?? null
}

/** The grade of the limit an alert stands for. */
export function alertGrade(alert: AlertItem): Grade {
  return gradeOf({ force: alert.force ?? '', lapsed: alert.lapsed ?? false })
}

/** Alerts raised since `before` was held: what a live region says. */
export function raisedSince(before: Held, held: Held): AlertItem[] {
  return [...held.values()].filter((alert) => {
    const was = before.get(alert.id)
    return alert.state === 'firing' && !(was && isRaised(was)) && priorityOf(alert) > 0
  })
}

/** How far the telling of an alert has come. */
export type Told = 'delivered' | 'waiting' | 'abandoned' | 'nobody'

/** What became of the telling on the channel that got furthest, with its receipt. */
export function toldOf(alert: AlertItem): { told: Told; channel: string; receipt: string | null } {
  const first = (state: string): AlertItem['deliveries'][number] | undefined =>
    alert.deliveries.find((one) => one.state === state)
  const found = first('delivered') ?? first('abandoned') ?? first('waiting') ?? alert.deliveries[0]
  if (!found) return { told: 'nobody', channel: '', receipt: null }
  const known = found.state === 'delivered' || found.state === 'abandoned' ? found.state : 'waiting'
  return { told: known, channel: found.channel, receipt: found.receipt }
}
