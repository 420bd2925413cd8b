// Where a time axis is labelled, in plant time.

import { beginOf, nameAt, shifted } from '../core/calendar.ts'
import { parts } from '../core/plant_time.ts'
import type { PeriodChoice } from '../core/route.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Middles of days, at most `most` of them, counted back from the newest. */
export function dayTicks(from: number, to: number, most: number): number[] {
  const days = Math.max(1, Math.round((to - from) / DAY))
  const every = Math.max(1, Math.ceil(days / most))
  const out: number[] = []
  for (let at = to - DAY / 2; at > from; at -= every * DAY) out.unshift(at)
  return out
}

/** Full plant hours, every 1, 2, 3, 4, 6 or 12 of them. */
export function hourTicks(from: number, to: number, most: number, zone: string): number[] {
  const hours = (to - from) / HOUR
  const every = [1, 2, 3, 4, 6, 12].find((step) => hours / step <= most) ?? 12
  const p = parts(from, zone)
  const past = Number(p.minute) * 60_000 + Number(p.second) * 1000 + (from % 1000)
  const out: number[] = []
  for (let at = from - past + (past > 0 ? HOUR : 0); at < to; at += HOUR) {
    if (Number(parts(at, zone).hour) % every === 0) out.push(at)
  }
  return out
}

/** Middles of whole plant months or years in [from, to), at most `most`, counted back from the newest. */
export function middles(
  from: number,
  to: number,
  most: number,
  kind: PeriodChoice,
  zone: string,
): number[] {
  const out: number[] = []
  for (let name = nameAt(to - 1, kind, zone); beginOf(name, zone) >= from; name = shifted(name, -1)) {
    out.unshift((beginOf(name, zone) + beginOf(shifted(name, 1), zone)) / 2)
  }
  const every = Math.max(1, Math.ceil(out.length / Math.max(1, most)))
  return out.filter((at, n) => at < to && (out.length - 1 - n) % every === 0)
}
