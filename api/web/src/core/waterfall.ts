// An excess as bars that lead from the limit to the figure. Printed parts sum to the printed excess:
// what the server could not tell apart is one bar, the remainder, and nothing is shared out here.

import { numberOf } from './figures.ts'
import type { CauseItem, Excess, Remainder } from './wire_outlook.ts'

export interface Bar {
  readonly key: string
  readonly kind: 'part' | 'remainder' | 'total'
  readonly from: number
  readonly to: number
  readonly part: CauseItem | null
  readonly remainder: Remainder | null
}

export interface Fall {
  readonly bars: readonly Bar[]
  readonly low: number
  readonly high: number
}

/** A figure of an excess in the measure of the bars: per output where there is any, else energy. */
export function measured(of: { value: string | null; per_output: string | null }, per: boolean): number | null {
  return numberOf(per ? of.per_output : of.value)
}

/** The bars of an excess; null where nothing could be told of it. */
export function waterfall(excess: Excess): Fall | null {
  if (!excess.excess || !excess.parts) return null
  const per = excess.excess.per_output !== null
  const total = measured(excess.excess, per)
  if (total === null) return null
  const bars: Bar[] = []
  let edge = 0
  const add = (bar: Omit<Bar, 'from' | 'to'>, size: number): void => {
    bars.push({ ...bar, from: edge, to: edge + size })
    edge += size
  }
  for (const part of excess.parts) {
    const size = measured(part, per)
    if (size === null || (size === 0 && part.why !== null)) continue
    add({ key: part.cause, kind: 'part', part, remainder: null }, size)
  }
  const rest = excess.remainder
  const left = rest ? measured(rest, per) : null
  if (rest && left !== null) add({ key: 'remainder', kind: 'remainder', part: null, remainder: rest }, left)
  bars.push({ key: 'total', kind: 'total', from: 0, to: total, part: null, remainder: null })
  const ends = bars.flatMap((bar) => [bar.from, bar.to])
  return { bars, low: Math.min(0, ...ends), high: Math.max(0, ...ends) }
}

/** Where a value lies between the ends, in per cent; a scale of no width has all in its middle. */
export function placeOf(value: number, fall: Fall): number {
  const width = fall.high - fall.low
  return width === 0 ? 50 : ((value - fall.low) / width) * 100
}
