// Which month of a site comes next to be closed. Pure.

import { nameAt, shifted } from './calendar.ts'
import type { Close } from './wire_work.ts'

/** Months that may be asked for, the likeliest first: after the newest close, up to the last one. */
export const MOST_MONTHS = 12

/** The months that are over and not closed, the one that comes next first. */
export function monthsToClose(closes: readonly Close[], now: number, zone: string): string[] {
  const last = shifted(nameAt(now, 'month', zone), -1)
  const closed = new Set(closes.map((close) => close.month))
  const found: string[] = []
  for (let back = 0; back < MOST_MONTHS; back += 1) {
    const month = shifted(last, -back)
    if (!closed.has(month)) found.push(month)
  }
  const newest = [...closed].sort().at(-1)
  const after = newest === undefined ? [] : found.filter((month) => month > newest).sort()
  return [...after, ...found.filter((month) => !after.includes(month))]
}
