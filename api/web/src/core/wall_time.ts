// Times that people type: what the clock on the plant's wall shows, as an instant, and back.

import { iso, parts } from './plant_time.ts'

const WALL = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?$/

/** The text of a date-and-time field: `2026-11-21T14:30`, in plant time. */
export function wall(ms: number, zone: string): string {
  const p = parts(ms, zone)
  return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`
}

/** The instant (ms) at which the plant's clock shows this; null when it never does. */
export function ofWall(text: string, zone: string): number | null {
  const found = WALL.exec(text)
  if (!found) return null
  const naive = Date.parse(`${text.slice(0, 16)}:00Z`)
  if (Number.isNaN(naive)) return null
  // The offset is that of the instant itself, so it is looked up where the first guess leads.
  let at = naive
  for (let turn = 0; turn < 2; turn += 1) at = naive - offsetMs(at, zone)
  return wall(at, zone) === text.slice(0, 16) ? at : null
}

function offsetMs(ms: number, zone: string): number {
  const whole = Math.floor(ms / 1000) * 1000
  return Date.parse(`${iso(whole, zone).slice(0, 19)}Z`) - whole
}
