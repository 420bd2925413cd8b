// One EventSource with a backoff of its own: the browser retries a cut connection by itself, but
// gives up for good on an HTTP error, and that is when a restarting server answers 503.

import { backoffMs } from './link.ts'

export type Word =
  | { readonly kind: 'event'; readonly name: string; readonly id: string; readonly data: string }
  | { readonly kind: 'opened' }
  | { readonly kind: 'broken'; readonly refused: boolean }

const EVENTS = ['units', 'alerts', 'heartbeat', 'resync'] as const

export class Source {
  private stream: EventSource | null = null
  private timer: ReturnType<typeof setTimeout> | undefined
  private attempts = 0
  private readonly url: string
  private readonly say: (word: Word) => void

  constructor(url: string, say: (word: Word) => void) {
    this.url = url
    this.say = say
  }

  get isOpen(): boolean {
    return this.stream?.readyState === EventSource.OPEN
  }

  /** Connects anew. A new EventSource resumes nothing, so `opened` asks its hearers to refetch. */
  open(): void {
    this.close()
    const stream = new EventSource(this.url)
    this.stream = stream
    stream.addEventListener('open', () => this.say({ kind: 'opened' }), { once: true })
    for (const name of EVENTS) {
      stream.addEventListener(name, (event: MessageEvent<string>) => {
        this.attempts = 0
        this.say({ kind: 'event', name, id: event.lastEventId, data: event.data })
      })
    }
    stream.addEventListener('error', () => this.failed(stream))
  }

  close(): void {
    clearTimeout(this.timer)
    this.stream?.close()
    this.stream = null
  }

  private failed(stream: EventSource): void {
    if (stream !== this.stream) return
    const refused = stream.readyState === EventSource.CLOSED
    this.say({ kind: 'broken', refused })
    if (!refused) return
    const wait = backoffMs(this.attempts, Math.random())
    this.attempts += 1
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.open(), wait)
  }
}
