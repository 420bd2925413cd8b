// The catalogue of limits as it is looked through: found by words, force and indicator, by indicator in
// a fixed order; and where a limit stands in time.

import type { LimitRow } from './wire_path.ts'

export interface Wanted {
  readonly find: string | null
  readonly force: string | null
  /** Only these indicators; null: all. */
  readonly indicators: ReadonlySet<string> | null
}

/** A limit is found when every word is somewhere in its names, ids, source, clause or quotation. */
export function found(rows: readonly LimitRow[], wanted: Wanted): LimitRow[] {
  const words = (wanted.find ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  return rows.filter((row) => {
    if (wanted.force !== null && row.force !== wanted.force) return false
    if (wanted.indicators && !wanted.indicators.has(row.indicator)) return false
    const text = [
      row.id,
      row.name.zh,
      row.name.en,
      row.source,
      row.clause,
      row.quote,
      row.jurisdiction,
      row.value,
    ]
      .join(' ')
      .toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

const FORCES = ['mandatory', 'target', 'reference']

/** Limits by indicator in the order of its id; what binds hardest first, what has ended last. */
export function byIndicator(rows: readonly LimitRow[], day: string): [string, LimitRow[]][] {
  const ended = (row: LimitRow): number => Number(standingOn(row, day) === 'ended')
  const made = new Map<string, LimitRow[]>()
  for (const row of [...rows].sort((a, b) => a.indicator.localeCompare(b.indicator))) {
    const held = made.get(row.indicator) ?? []
    held.push(row)
    made.set(row.indicator, held)
  }
  for (const held of made.values()) {
    held.sort(
      (a, b) =>
        ended(a) - ended(b) ||
        FORCES.indexOf(a.force) - FORCES.indexOf(b.force) ||
        (b.level ?? 0) - (a.level ?? 0) ||
        a.id.localeCompare(b.id),
    )
  }
  return [...made]
}

export type Standing = 'ahead' | 'in_force' | 'lapsed' | 'ended'

/** Where a limit stands on a day (`2026-11-28`); `valid_to` is the first day without it. */
export function standingOn(row: LimitRow, day: string): Standing {
  if (row.valid_from !== null && day < row.valid_from) return 'ahead'
  if (row.valid_to !== null && day >= row.valid_to) return 'ended'
  return row.due !== null && day > row.due ? 'lapsed' : 'in_force'
}
