// What a forecast is drawn from: the mean of the period as it ran so far, and the way to its end.

import { numberOf } from './figures.ts'
import { instant } from './plant_time.ts'
import type { PeriodItem } from './wire.ts'
import type { Forecast } from './wire_outlook.ts'

export interface Run {
  /** Milliseconds, half-open: one day. */
  readonly from: number
  readonly to: number
  /** The mean from the beginning of the period to the end of this day; null where a day is missing. */
  readonly mean: number | null
  readonly completeness: number | null
  readonly open: boolean
}

const DAY = 86_400_000

/**
 * The running mean of a period from its days, in any order, over [from, to). A day without a figure
 * is a gap: nothing is carried over it, and the mean goes on from the days that have one.
 */
export function runningMean(days: readonly PeriodItem[], from: number, to: number): Run[] {
  const found = new Map<number, PeriodItem>()
  for (const item of days) {
    const at = instant(item.period_start)
    if (at !== null && at >= from && at < to) found.set(at, item)
  }
  const out: Run[] = []
  let [energy, output] = [0, 0]
  for (let at = from; at < to; ) {
    const item = found.get(at)
    const end = instant(item?.period_end) ?? at + DAY
    const value = numberOf(item?.intensity?.value)
    const made = numberOf(item?.output?.value)
    const known = value !== null && made !== null
    if (known) {
      energy += value * made
      output += made
    }
    out.push({
      from: at,
      to: end,
      mean: known && output > 0 ? energy / output : null,
      completeness: item?.completeness ?? null,
      open: item ? !item.closed : false,
    })
    at = end
  }
  return out
}

export interface WayPoint {
  readonly at: number
  readonly value: number
  readonly low: number
  readonly high: number
  readonly lowest: number
  readonly highest: number
}

/**
 * The way from where a period stands to each foreseen end, output and energy coming evenly: the mean
 * bends as the share of what is still to come grows. Empty where nothing is foreseen.
 */
export function wayAhead(forecast: Forecast, steps = 24): WayPoint[] {
  const from = instant(forecast.known_until)
  const to = instant(forecast.period_end)
  const end = forecast.forecast
  const now = numberOf(forecast.so_far?.intensity.value)
  const before = numberOf(forecast.so_far?.output.value) ?? 0
  const more = numberOf(forecast.ahead?.output.value) ?? 0
  if (from === null || to === null || !end || to <= from || more <= 0) return []
  const along = (goal: number, part: number): number => {
    if (now === null || before <= 0) return goal
    const total = before + more * part
    return (now * before + (goal * (before + more) - now * before) * part) / total
  }
  const goals = [end.value, end.p10, end.p90, end.p2_5, end.p97_5].map((text) => numberOf(text))
  if (goals.some((goal) => goal === null)) return []
  const [value = 0, low = 0, high = 0, lowest = 0, highest = 0] = goals.map((goal) => goal ?? 0)
  return Array.from({ length: steps + 1 }, (_, n) => {
    const part = n / steps
    return {
      at: from + (to - from) * part,
      value: along(value, part),
      low: along(low, part),
      high: along(high, part),
      lowest: along(lowest, part),
      highest: along(highest, part),
    }
  })
}

/** A chance as it is told: never certain, never impossible. */
export function chanceText(chance: number | null): string {
  if (chance === null) return '—'
  if (chance > 0.99) return '> 99%'
  return chance < 0.01 ? '< 1%' : `${Math.round(chance * 100)}%`
}
