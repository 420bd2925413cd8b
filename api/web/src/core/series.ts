// Period items to what a chart draws. A gap is never bridged: an absent period, or one without a
// figure, becomes null and a hatched span. Limits are steps, exactly as each period was judged.

import { numberOf } from './figures.ts'
import { instant } from './plant_time.ts'
import { leading } from './verdicts.ts'
import type { PeriodItem } from './wire.ts'

export interface Spell {
  /** Milliseconds, half-open. */
  readonly from: number
  readonly to: number
}
export interface Step extends Spell {
  readonly limit: string
  readonly value: number
  readonly leads: boolean
}
export interface Bucket extends Spell {
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  readonly completeness: number | null
  readonly open: boolean
  readonly item: PeriodItem | null
}
export interface Series {
  readonly buckets: readonly Bucket[]
  readonly gaps: readonly Spell[]
  readonly steps: readonly Step[]
  /** Indices of figures with a gap on both sides: a line cannot show them, a dot must. */
  readonly lone: readonly number[]
}

/** More items than this are not drawn; the server sends at most 2000 per series. */
export const MOST_BUCKETS = 2000

/**
 * A chart's series from items in any order, over [from, to) in milliseconds. Space before the
 * first item counts as a gap, so that a young unit does not look as if it had a full history.
 */
export function toSeries(items: readonly PeriodItem[], from: number, to: number): Series {
  const buckets = fill(sorted(items), from, to)
  const gaps: Spell[] = []
  const lone: number[] = []
  buckets.forEach((bucket, index) => {
    if (bucket.value === null) {
      const last = gaps.at(-1)
      if (last && last.to === bucket.from) gaps[gaps.length - 1] = { from: last.from, to: bucket.to }
      else gaps.push({ from: bucket.from, to: bucket.to })
    } else if (
      (buckets[index - 1]?.value ?? null) === null &&
      (buckets[index + 1]?.value ?? null) === null
    ) {
      lone.push(index)
    }
  })
  return { buckets, gaps, lone, steps: stepsOf(buckets) }
}

function sorted(items: readonly PeriodItem[]): Bucket[] {
  const found = new Map<number, Bucket>()
  for (const item of items) {
    const from = instant(item.period_start)
    const to = instant(item.period_end)
    if (from === null || to === null || to <= from) continue
    const value = numberOf(item.intensity?.value)
    const spread = numberOf(item.intensity?.uncertainty)
    found.set(from, {
      from,
      to,
      value,
      low: value === null || spread === null ? null : value - spread,
      high: value === null || spread === null ? null : value + spread,
      completeness: item.completeness,
      open: !item.closed,
      item,
    })
  }
  return [...found.values()].sort((a, b) => a.from - b.from).slice(-MOST_BUCKETS)
}

function fill(buckets: readonly Bucket[], from: number, to: number): Bucket[] {
  const empty = { value: null, low: null, high: null, completeness: null, open: false, item: null }
  const out: Bucket[] = []
  let edge = Math.min(from, buckets[0]?.from ?? from)
  for (const bucket of buckets) {
    if (bucket.from > edge) out.push({ ...empty, from: edge, to: bucket.from })
    out.push(bucket)
    edge = bucket.to
  }
  if (edge < to) out.push({ ...empty, from: edge, to })
  return out
}

function stepsOf(buckets: readonly Bucket[]): Step[] {
  const out: Step[] = []
  const latest = new Map<string, number>()
  for (const bucket of buckets) {
    const lead = leading(bucket.item ?? undefined)
    for (const verdict of bucket.item?.verdicts ?? []) {
      const value = numberOf(verdict.limit_value)
      if (value === null || verdict.verdict === 'not_applicable') continue
      const leads = verdict === lead
      const at = latest.get(verdict.limit)
      const held = at === undefined ? undefined : out[at]
      // A limit runs on through a gap: what is missing there is data, not the law.
      if (at !== undefined && held && held.value === value && held.leads === leads) {
        out[at] = { ...held, to: bucket.to }
      } else {
        latest.set(verdict.limit, out.length)
        out.push({ from: bucket.from, to: bucket.to, limit: verdict.limit, value, leads })
      }
    }
  }
  return out
}

/** From so many ended periods on, the open one no longer stretches the scale. */
const ENOUGH_ENDED = 3

/**
 * The y-range: the leading limit −3 %…+3 %, widened where the data or its spread leaves it. A period
 * that has only begun may stand anywhere: its first hours must not flatten all the others.
 */
export function yRange(series: Series): [number, number] | null {
  const lead = series.steps.filter((step) => step.leads).map((step) => step.value)
  const ended = series.buckets.filter((b) => !b.open && b.value !== null)
  const counted = ended.length >= ENOUGH_ENDED ? ended : series.buckets
  const seen = counted.flatMap((b) => [b.low ?? b.value, b.high ?? b.value])
  const data = seen.filter((value) => value !== null)
  if (lead.length + data.length === 0) return null
  const low = Math.min(...lead.map((v) => v * 0.97), ...data)
  const high = Math.max(...lead.map((v) => v * 1.03), ...data)
  const pad = (high - low || Math.abs(high) || 1) * 0.04
  return [low - pad, high + pad]
}

export interface PowerBucket extends Spell {
  readonly kilowatts: number | null
  readonly completeness: number | null
}

/** An open period younger than this is not drawn as power. */
const YOUNG_MS = 60_000

/** Mean power per period from energy in kWh; a period without energy is a gap, not zero. */
export function toPower(
  items: readonly Pick<
    PeriodItem,
    'period_start' | 'period_end' | 'closed' | 'energy' | 'completeness' | 'computed_at'
  >[],
  from: number,
  to: number,
  nowMs: number,
): PowerBucket[] {
  const rows = items
    .map((item) => ({ item, from: instant(item.period_start), to: instant(item.period_end) }))
    .filter((row): row is typeof row & { from: number; to: number } => row.from !== null)
    .sort((a, b) => a.from - b.from)
    .slice(-MOST_BUCKETS)
  const out: PowerBucket[] = []
  let edge = from
  for (const row of rows) {
    if (row.to === null || row.to <= row.from || row.to <= from) continue
    if (row.from > edge) out.push({ from: edge, to: row.from, kilowatts: null, completeness: null })
    const energy = numberOf(row.item.energy?.value)
    const estimated = numberOf(row.item.energy?.estimated) ?? 0
    // Completeness is measured time over elapsed time: what was measured, over when it was, is the
    // mean power. Estimated energy belongs to the time that was not.
    const until = Math.min(row.to, instant(row.item.computed_at) ?? nowMs)
    const measured = ((until - row.from) / 3_600_000) * (row.item.completeness ?? 1)
    // A period that has just begun holds too little to divide by.
    if (!row.item.closed && until - row.from < YOUNG_MS) continue
    const kilowatts = energy === null || measured <= 0 ? null : (energy - estimated) / measured
    out.push({ from: row.from, to: row.to, kilowatts, completeness: row.item.completeness })
    edge = row.to
  }
  if (to - edge > YOUNG_MS) out.push({ from: edge, to, kilowatts: null, completeness: null })
  return out
}
