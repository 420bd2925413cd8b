// Completeness by unit and day: one cell a day, and a day without a figure is a cell without one.

import { instant } from './plant_time.ts'
import type { Columns } from './wire_path.ts'

export interface HeatCell {
  readonly day: string
  readonly completeness: number | null
}
export interface HeatRow {
  readonly unit: string
  readonly cells: readonly HeatCell[]
}

/** Rows by unit over the days; of several indicators of a unit the least complete one counts. */
export function heat(
  columns: readonly Columns[],
  days: readonly string[],
  dayOf: (ms: number) => string,
): HeatRow[] {
  const found = new Map<string, Map<string, number>>()
  for (const column of columns) {
    const held = found.get(column.unit) ?? new Map<string, number>()
    column.period_start.forEach((text, n) => {
      const at = instant(text)
      const value = column.completeness[n]
      if (at === null || value === undefined || column.intensity[n] === undefined) return
      const day = dayOf(at)
      held.set(day, Math.min(value, held.get(day) ?? 1))
    })
    found.set(column.unit, held)
  }
  return [...found]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([unit, held]) => ({
      unit,
      cells: days.map((day) => ({ day, completeness: held.get(day) ?? null })),
    }))
}

/** How a cell is drawn: hatched without data, else in four steps of ink. */
export function shade(completeness: number | null): 'none' | 'whole' | 'most' | 'some' | 'little' {
  if (completeness === null || completeness === 0) return 'none'
  if (completeness >= 0.999) return 'whole'
  if (completeness >= 0.9) return 'most'
  return completeness >= 0.5 ? 'some' : 'little'
}
