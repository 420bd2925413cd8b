// How often alerts ring, against what an operator can bear (EEMUA 191). Pure.

import { instant } from './plant_time.ts'
import type { AlertRow } from './wire_work.ts'

export const WINDOW_MS = 600_000
export const DAY_MS = 86_400_000
/** One alert in ten minutes is acceptable, more than ten are a flood (EEMUA 191). */
export const ACCEPTABLE = 1
export const FLOOD = 10
/** What lasts longer asks for work, not for attention. */
export const STANDING_MS = DAY_MS
export const MOST_SOURCES = 10

export interface Rates {
  readonly lastWindow: number
  readonly day: number
  /** The most that were raised in any ten minutes of the day, and when those began. */
  readonly worst: number
  readonly worstAt: number | null
  readonly standing: number
  /** What rang most often in what is shown. */
  readonly sources: readonly { readonly of: string; readonly raised: number }[]
}

/** The rates of a day that ends now, by when each alert was last raised. */
export function ratesOf(alerts: readonly AlertRow[], now: number): Rates {
  const told = alerts.filter((alert) => !isFolded(alert) && alert.raised_at !== null)
  const since = now - DAY_MS
  const times = told
    .map((alert) => instant(alert.raised_at) ?? 0)
    .filter((at) => at > since && at <= now)
    .sort((a, b) => a - b)
  const [worst, worstAt] = densest(times)
  return {
    lastWindow: times.filter((at) => at > now - WINDOW_MS).length,
    day: times.length,
    worst,
    worstAt,
    standing: told.filter((alert) => isStanding(alert, now)).length,
    sources: sources(told),
  }
}

function densest(times: readonly number[]): [number, number | null] {
  let [most, at, from] = [0, null as number | null, 0]
  for (let to = 0; to < times.length; to += 1) {
    while ((times[to] ?? 0) - (times[from] ?? 0) >= WINDOW_MS) from += 1
    if (to - from + 1 > most) {
      most = to - from + 1
      at = times[from] ?? null
    }
  }
  return [most, at]
}

function sources(alerts: readonly AlertRow[]): Rates['sources'] {
  const counts = new Map<string, number>()
  for (const alert of alerts) {
    const of = alert.unit ?? alert.subject?.id ?? alert.site ?? ''
    counts.set(of, (counts.get(of) ?? 0) + 1)
  }
  return [...counts]
    .map(([of, raised]) => ({ of, raised }))
    .sort((a, b) => b.raised - a.raised || a.of.localeCompare(b.of))
    .slice(0, MOST_SOURCES)
}

const BEHIND: ReadonlySet<string> = new Set(['behind', 'waiting'])

/** Whether another alert was told for it, or may yet be; what was told for itself is not folded. */
export function isFolded(alert: AlertRow): boolean {
  return BEHIND.has(alert.quiet?.kind ?? '') && alert.quiet?.told === false
}

/** Whether somebody asked that it be kept quiet: put aside, or under an outage. */
export function isSilenced(alert: AlertRow): boolean {
  const kind = alert.quiet?.kind
  return kind !== undefined && !BEHIND.has(kind)
}

/** Raised for more than a day and taken note of. */
export function isStanding(alert: AlertRow, now: number): boolean {
  const at = instant(alert.raised_at)
  if (alert.state === 'resolved' || at === null) return false
  return alert.acknowledged_at !== null && now - at > STANDING_MS
}

/** The alerts behind each one that was told for them. */
export function byParent(alerts: readonly AlertRow[]): ReadonlyMap<string, AlertRow[]> {
  const found = new Map<string, AlertRow[]>()
  for (const alert of alerts) {
    const parent = isFolded(alert) ? alert.quiet?.alert : null
    if (!parent) continue
    found.set(parent, [...(found.get(parent) ?? []), alert])
  }
  return found
}
