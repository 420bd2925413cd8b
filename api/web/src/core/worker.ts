// The SharedWorker that owns the one stream of all tabs: browsers allow six connections per host,
// and a stream per tab leaves the seventh tab without a page.

import { Source, type Word } from './source.ts'

/** A tab that has said nothing for this long is taken as gone (hidden tabs speak once a minute). */
const SILENT_TAB_MS = 180_000
const MOST_TABS = 200

interface Scope {
  onconnect: ((event: MessageEvent) => void) | null
}

const tabs = new Map<MessagePort, number>()
const source = new Source('/api/v1/live', broadcast)

function broadcast(word: Word): void {
  const oldest = Date.now() - SILENT_TAB_MS
  for (const [port, heard] of tabs) {
    if (heard < oldest) leave(port)
    else port.postMessage(word)
  }
}

function leave(port: MessagePort): void {
  tabs.delete(port)
  port.close()
  if (tabs.size === 0) source.close()
}

function hear(port: MessagePort, word: unknown): void {
  if (word === 'bye') {
    leave(port)
    return
  }
  const first = tabs.size === 0
  const joins = !tabs.has(port)
  tabs.set(port, Date.now())
  if (first || word === 'again') source.open()
  else if (joins && source.isOpen) port.postMessage({ kind: 'opened' } satisfies Word)
}

;(globalThis as unknown as Scope).onconnect = (event) => {
  const port = event.ports[0]
  if (!port || tabs.size >= MOST_TABS) return
  port.onmessage = (message: MessageEvent<unknown>) => hear(port, message.data)
  port.start()
}
