// Days, months and years of plant time by their plain names: `2026-11-20`, `2026-11`, `2026`. The page
// names a period by them in its address; the server has the bounds.

import { parts } from './plant_time.ts'
import type { PeriodChoice } from './route.ts'

const TWO = (n: number): string => String(n).padStart(2, '0')

/** The name of the period of a kind that holds an instant (ms). */
export function nameAt(ms: number, kind: PeriodChoice, zone: string): string {
  const p = parts(ms, zone)
  if (kind === 'year') return p.year
  return kind === 'month' ? `${p.year}-${p.month}` : `${p.year}-${p.month}-${p.day}`
}

function fields(name: string): [number, number, number] {
  const [year = 1970, month = 1, day = 1] = name.split('-').map(Number)
  return [year, month, day]
}

/** The kind of period a name is of. */
export function kindOf(name: string): PeriodChoice {
  return name.length === 4 ? 'year' : name.length === 7 ? 'month' : 'day'
}

/** The instant (ms) a named period begins at in a plant's zone. */
export function beginOf(name: string, zone: string): number {
  const [year, month, day] = fields(name)
  const wall = Date.UTC(year, month - 1, day)
  const p = parts(wall, zone)
  const shown = Date.UTC(
    Number(p.year),
    Number(p.month) - 1,
    Number(p.day),
    Number(p.hour),
    Number(p.minute),
  )
  return wall - (shown - wall)
}

/** The name of the period so many after a named one. */
export function shifted(name: string, by: number): string {
  const [year, month, day] = fields(name)
  const kind = kindOf(name)
  if (kind === 'year') return String(year + by).padStart(4, '0')
  const at = new Date(Date.UTC(year, month - 1 + (kind === 'month' ? by : 0), day))
  if (kind === 'day') at.setUTCDate(at.getUTCDate() + by)
  const text = `${String(at.getUTCFullYear()).padStart(4, '0')}-${TWO(at.getUTCMonth() + 1)}`
  return kind === 'month' ? text : `${text}-${TWO(at.getUTCDate())}`
}

/** The name of the period of another kind that holds, or begins with, a named one. */
export function as(name: string, kind: PeriodChoice): string {
  const [year, month, day] = fields(name)
  const y = String(year).padStart(4, '0')
  if (kind === 'year') return y
  return kind === 'month' ? `${y}-${TWO(month)}` : `${y}-${TWO(month)}-${TWO(day)}`
}
