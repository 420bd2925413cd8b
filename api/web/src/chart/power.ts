// A unit's power from its electricity meters, for units whose indicator counts in another unit.

import * as client from '../core/client.ts'
import { numberOf } from '../core/figures.ts'
import { toPower, type PowerBucket } from '../core/series.ts'
import type { EnergyItem } from '../core/wire.ts'

/** Meters read for one chart; a unit with more shows none rather than a part. */
const MOST_POINTS = 32

/** Signed sum of the unit's electricity points by the hour, in kW. */
export async function sumPoints(
  unit: string,
  from: number,
  to: number,
  stop: AbortSignal,
): Promise<PowerBucket[]> {
  const all = await client.points(unit, stop)
  const meters = all.filter((p) => p.carrier === 'electricity' && p.energy_unit === 'kWh')
  if (meters.length === 0 || meters.length > MOST_POINTS) return []
  const lists = await Promise.all(meters.map((p) => client.energy(p.point, from, to, stop)))
  return toPower(addUp(lists, meters.map((p) => p.sign)), from, to, to)
}

/** Adds meters hour by hour; an hour that one of them lacks is a gap of the sum. */
export function addUp(
  lists: readonly (readonly EnergyItem[])[],
  signs: readonly number[],
): EnergyItem[] {
  const hours = new Map<string, { items: EnergyItem[]; value: number; estimated: number }>()
  lists.forEach((list, n) => {
    for (const item of list) {
      const value = numberOf(item.energy?.value)
      if (value === null) continue
      const held = hours.get(item.period_start) ?? { items: [], value: 0, estimated: 0 }
      held.items.push(item)
      held.value += value * (signs[n] ?? 1)
      held.estimated += (numberOf(item.energy?.estimated) ?? 0) * (signs[n] ?? 1)
      hours.set(item.period_start, held)
    }
  })
  const out: EnergyItem[] = []
  for (const { items, value, estimated } of hours.values()) {
    const first = items[0]
    if (!first || items.length < lists.length) continue
    const completeness = Math.min(...items.map((item) => item.completeness ?? 1))
    const energy = { value: String(value), estimated: String(estimated), unit: 'kWh' }
    out.push({ ...first, energy, completeness })
  }
  return out
}
