// One answer of the server that a panel shows: asked again when its key changes and every so often,
// kept with the time it was read at, and never shown under another key than its own.

import { untrack } from 'svelte'
import { Failure } from './core/client.ts'
import { page } from './page.svelte.ts'

/** A request longer than this says what it waits for. */
const SLOW_MS = 2_000

export class Asked<T> {
  value = $state.raw<T | null>(null)
  /** Why the last try failed; what was read before it stays. */
  wrong = $state<string | null>(null)
  /** The HTTP status of that failure; 0 when nothing answered. */
  status = $state(0)
  /** The plant's present (ms) when the value was asked for. */
  at = $state<number | null>(null)
  slow = $state(false)
  private readonly read: (stop: AbortSignal) => Promise<T>

  /** Made while a component begins; a null key asks for nothing. */
  constructor(
    key: () => string | null,
    read: (stop: AbortSignal) => Promise<T>,
    everyMs: number | null = null,
  ) {
    this.read = read
    const ready = $derived(page.live && page.present !== null)
    const asked = $derived(key())
    $effect(() => {
      void asked
      untrack(() => this.forget())
    })
    $effect(() => {
      if (asked === null || !ready) return
      const stop = new AbortController()
      const again = (): void => void untrack(() => this.ask(stop.signal))
      again()
      const timer = everyMs === null ? undefined : setInterval(again, everyMs)
      return () => {
        stop.abort()
        clearInterval(timer)
      }
    })
  }

  /** Asks once more, as after something was written. */
  again(): Promise<void> {
    return this.ask(new AbortController().signal)
  }

  /** Takes a newer value that an answer to a write carried. */
  take(value: T): void {
    this.value = value
    this.at = page.present
    this.wrong = null
  }

  private forget(): void {
    this.value = null
    this.wrong = null
    this.at = null
  }

  private async ask(stop: AbortSignal): Promise<void> {
    const at = page.present
    const late = setTimeout(() => (this.slow = true), SLOW_MS)
    try {
      const found = await this.read(stop)
      if (stop.aborted) return
      this.value = found
      this.at = at
      this.wrong = null
    } catch (failure) {
      if (stop.aborted) return
      this.wrong = failure instanceof Error ? failure.message : String(failure)
      this.status = failure instanceof Failure ? failure.status : 0
      const concernsAll =
        failure instanceof Failure && (failure.trouble === 'stranger' || failure.status === 0)
      if (concernsAll) page.failed(failure)
    } finally {
      clearTimeout(late)
      if (!stop.aborted) this.slow = false
    }
  }
}
