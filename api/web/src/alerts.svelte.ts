// The alerts on the page: asked for once, then changed by the stream. What is not known is never
// shown as none, and an acknowledgement counts when the server has confirmed it, not before.

import {
  countsOf,
  listed,
  marksOf,
  merged,
  NO_ALERTS,
  raisedSince,
  type Held,
} from './core/alerts.ts'
import * as client from './core/client.ts'
import type { AlertItem } from './core/wire.ts'

/** Roles that may take note of an alert; for the others the button is not there. */
const MAY_ACKNOWLEDGE: ReadonlySet<string> = new Set(['operator', 'engineer', 'admin'])

export class AlertsModel {
  held = $state.raw<Held>(NO_ALERTS)
  /** Server ms of the last complete answer; null until one succeeded. */
  answeredAt = $state<number | null>(null)
  trouble = $state.raw<string | null>(null)
  /** Acknowledgements under way, and why one was refused. */
  busy = $state.raw<ReadonlySet<string>>(new Set())
  refused = $state.raw<ReadonlyMap<string, string>>(new Map())
  /** The alert that `a` acknowledges. */
  chosen = $state<string | null>(null)
  /** Raised since the page knows them: said aloud once. */
  fresh = $state.raw<readonly AlertItem[]>([])
  list = $derived(listed(this.held))
  counts = $derived(countsOf(this.held))
  marks = $derived(marksOf(this.held))
  private underWay = false
  private heard: AlertItem[] = []

  static mayAcknowledge(role: string | undefined): boolean {
    return role !== undefined && MAY_ACKNOWLEDGE.has(role)
  }

  /** Asks for all of them; a failure leaves what was known and says so. Throws it again. */
  async read(): Promise<void> {
    if (this.underWay) return
    this.underWay = true
    this.heard = []
    try {
      const answer = await client.alerts()
      // Events that came meanwhile are at most a second older than the answer, and the next
      // event of an alert always follows its last change: the stream has the last word.
      const whole = merged(merged(NO_ALERTS, answer.items), this.heard)
      if (this.answeredAt !== null) this.fresh = raisedSince(this.held, whole)
      this.held = whole
      this.answeredAt = answer.at ?? 0
      this.trouble = null
    } catch (failure) {
      this.trouble = failure instanceof Error ? failure.message : String(failure)
      throw failure
    } finally {
      this.underWay = false
      this.heard = []
    }
  }

  /** Takes what the stream says of some of them. */
  hear(changed: readonly AlertItem[]): void {
    if (this.underWay) this.heard.push(...changed)
    const next = merged(this.held, changed)
    if (this.answeredAt !== null) {
      const raised = raisedSince(this.held, next)
      if (raised.length > 0) this.fresh = raised
    }
    this.held = next
  }

  /** Takes note of one; a refusal gives the button back, with the reason. */
  async acknowledge(id: string, csrf: string): Promise<void> {
    if (this.busy.has(id)) return
    this.busy = new Set([...this.busy, id])
    this.refused = without(this.refused, id)
    try {
      this.held = merged(this.held, [await client.acknowledge(id, csrf)])
    } catch (failure) {
      const why = failure instanceof Error ? failure.message : String(failure)
      this.refused = new Map([...this.refused, [id, why]])
      if (failure instanceof client.Failure && failure.trouble === 'stranger') throw failure
    } finally {
      this.busy = new Set([...this.busy].filter((one) => one !== id))
    }
  }

  clear(): void {
    this.held = NO_ALERTS
    this.answeredAt = null
    this.trouble = null
    this.refused = new Map()
    this.chosen = null
    this.fresh = []
  }
}

function without(map: ReadonlyMap<string, string>, id: string): ReadonlyMap<string, string> {
  return new Map([...map].filter(([key]) => key !== id))
}
