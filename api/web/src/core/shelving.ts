// Putting an alert aside: for how long, and for whom the button is there. The server decides. Pure.

import type { AlertRow } from './wire_work.ts'

export const HOUR_MS = 3_600_000
/** Hours that may be chosen; the server takes at most seven days. */
export const CHOICES_H = [1, 4, 12, 24, 72, 168] as const
export const DEFAULT_H = 4
/** What is serious (3) or formal (4) cannot be put aside, nor what a closed period found. */
const MOST_SEVERITY = 2

/** Whether it may be put aside at all; a refusal by the server is shown all the same. */
export function mayShelve(alert: Pick<AlertRow, 'severity' | 'stage' | 'state'>): boolean {
  const raised = alert.state === 'firing' || alert.state === 'clearing'
  return raised && alert.severity <= MOST_SEVERITY && alert.stage !== 'finding'
}

/** The end of a shelving that begins now, as the server reads it: never beyond what was chosen. */
export function endOf(now: number, hours: number): string {
  return new Date(Math.floor(now / 1000) * 1000 + hours * HOUR_MS).toISOString()
}
