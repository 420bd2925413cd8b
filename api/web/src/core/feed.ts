// What a stream event does to the units on the page: pure, so that holes, repeats, restarts and
// races are tests and not surprises.
//
// The snapshot and the stream race: while a snapshot is under way, changes are kept and applied
// after it, unless the snapshot already holds something newer. A changed epoch means a restarted
// server whose numbering says nothing about ours, so a snapshot is asked for.

import { instant } from './plant_time.ts'
import type { ItemsChange, PeriodItem, UnitChange, UnitView } from './wire.ts'

/** Changes kept while a snapshot is under way; beyond this the snapshot is simply asked again. */
export const MOST_PENDING = 5_000

export interface Feed {
  readonly epoch: string | null
  readonly sequence: number
  readonly awaiting: boolean
  readonly pending: readonly UnitChange[]
}

export interface FeedEvent {
  readonly kind: 'units' | 'heartbeat' | 'resync'
  readonly id: string
  readonly items?: readonly UnitChange[]
}

export interface Outcome {
  readonly feed: Feed
  /** Changes to apply now. */
  readonly apply: readonly UnitChange[]
  /** Ask for a snapshot. */
  readonly fetch: boolean
}

export const EMPTY: Feed = { epoch: null, sequence: 0, awaiting: true, pending: [] }

/** `<epoch>-<seq>` in parts, or null when the event carries no id. */
export function idOf(text: string): { epoch: string; sequence: number } | null {
  const cut = text.lastIndexOf('-')
  if (cut <= 0) return null
  const sequence = Number(text.slice(cut + 1))
  return Number.isInteger(sequence) ? { epoch: text.slice(0, cut), sequence } : null
}

/** The feed after an event. Repeated changes are dropped by number; a new epoch resyncs. */
export function take(feed: Feed, event: FeedEvent): Outcome {
  const id = idOf(event.id)
  const restarted = id !== null && feed.epoch !== null && id.epoch !== feed.epoch
  const repeated =
    !restarted && id !== null && feed.epoch === id.epoch && id.sequence <= feed.sequence
  const seen: Feed = id
    ? {
        ...feed,
        epoch: id.epoch,
        sequence: restarted ? id.sequence : Math.max(feed.sequence, id.sequence),
      }
    : feed
  if (event.kind === 'resync' || restarted) {
    const items = event.items ?? []
    return { feed: { ...seen, awaiting: true, pending: [...items] }, apply: [], fetch: true }
  }
  const items = event.items ?? []
  if (event.kind !== 'units' || repeated || items.length === 0) {
    return { feed: seen, apply: [], fetch: false }
  }
  if (!seen.awaiting) return { feed: seen, apply: items, fetch: false }
  const pending = [...seen.pending, ...items]
  if (pending.length > MOST_PENDING) {
    return { feed: { ...seen, pending: [] }, apply: [], fetch: true }
  }
  return { feed: { ...seen, pending }, apply: [], fetch: false }
}

/** The feed once its snapshot has arrived, and the kept changes that are newer than it. */
export function settle(feed: Feed, snapshot: readonly UnitView[]): Outcome {
  const held = new Map(snapshot.map((unit) => [unit.unit, unit]))
  const apply = feed.pending.filter((change) => !isOlder(change, held.get(change.unit)))
  return { feed: { ...feed, awaiting: false, pending: [] }, apply, fetch: false }
}

/** Whether a change was made before the held view, by the times it brings; without one it is not. */
export function isOlder(change: UnitChange, held: UnitView | undefined): boolean {
  if (!held) return false
  const made = newest(change, change)
  return made > 0 && made < newest(held, change)
}

/** The newest time in the members of `unit` that `change` has. */
function newest(unit: UnitChange, change: UnitChange): number {
  const measured = change.live ? (instant(unit.live?.measured_at) ?? 0) : 0
  const items = [...(change.current ? listed(unit.current) : []), ...(change.today ? listed(unit.today) : [])]
  return Math.max(measured, ...items.map((item) => instant(item.computed_at) ?? 0))
}

function listed(items: ItemsChange | undefined): readonly Partial<PeriodItem>[] {
  return Array.isArray(items) ? items : Object.values(items ?? {})
}
