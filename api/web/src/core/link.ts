// How fresh the page is. Rule 1: only next() changes the phase. A page that has stopped hearing
// must never look like one that hears.

export type Phase = 'connecting' | 'live' | 'late' | 'lost' | 'stranger'

/** The server says something every 5 s; one missed beat is late, two are lost. */
export const LATE_AFTER_MS = 7_000
export const LOST_AFTER_MS = 10_000

export interface Link {
  readonly phase: Phase
  /** Viewer's monotonic ms of the last word from the server. */
  readonly heardAt: number | null
  /** Server's time (ms) in that last word; values on screen are of this instant. */
  readonly serverAt: number | null
}

export type Signal =
  | { readonly kind: 'heard'; readonly serverAt: number | null }
  | { readonly kind: 'tick' }
  | { readonly kind: 'broken' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'begin' }

export const SILENT: Link = { phase: 'connecting', heardAt: null, serverAt: null }

/** The link after a signal at `now` (monotonic milliseconds). */
export function next(link: Link, signal: Signal, now: number): Link {
  switch (signal.kind) {
    case 'begin':
      return SILENT
    case 'refused':
      return { ...link, phase: 'stranger' }
    case 'heard':
      if (link.phase === 'stranger') return link
      return { phase: 'live', heardAt: now, serverAt: signal.serverAt ?? carried(link, now) }
    case 'broken':
      return link.phase === 'stranger' ? link : { ...link, phase: 'lost' }
    case 'tick':
      return silence(link, now)
  }
}

function carried(link: Link, now: number): number | null {
  if (link.serverAt === null || link.heardAt === null) return null
  return link.serverAt + (now - link.heardAt)
}

function silence(link: Link, now: number): Link {
  if (link.phase !== 'live' && link.phase !== 'late') return link
  const quiet = now - (link.heardAt ?? now)
  if (quiet >= LOST_AFTER_MS) return { ...link, phase: 'lost' }
  const phase = quiet >= LATE_AFTER_MS ? 'late' : 'live'
  return phase === link.phase ? link : { ...link, phase }
}

/**
 * The plant's present in server milliseconds. While the link is lost it stands still: the values
 * on screen are frozen, and so is their age.
 */
export function presentOf(link: Link, now: number): number | null {
  if (link.serverAt === null || link.heardAt === null) return null
  const frozen = link.phase === 'lost' || link.phase === 'stranger'
  return link.serverAt + (frozen ? 0 : now - link.heardAt)
}

/** Wait before attempt n (0, 1, …) with jitter in [0, 1): 1, 2, 5, then 15 seconds. */
export function backoffMs(attempt: number, jitter: number): number {
  const steps = [1_000, 2_000, 5_000, 15_000]
  const base = steps[Math.min(attempt, steps.length - 1)] ?? 15_000
  return Math.round(base * (0.8 + 0.4 * jitter))
}
