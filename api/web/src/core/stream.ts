// The page's end of the live stream: through the SharedWorker where there is one, else a stream of
// its own that closes while the tab is hidden for a minute.

import { Source, type Word } from './source.ts'

const HERE_EVERY_MS = 30_000
const HIDDEN_CLOSES_MS = 60_000

export interface Stream {
  /** Connects anew, after signing in or out. */
  again(): void
  close(): void
}

/** Opens the stream; `say` hears every event and every break. */
export function openStream(say: (word: Word) => void): Stream {
  return typeof SharedWorker === 'undefined' ? ownStream(say) : sharedStream(say)
}

function sharedStream(say: (word: Word) => void): Stream {
  const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), {
    type: 'module',
    name: 'danhao-live',
  })
  const port = worker.port
  port.onmessage = (message: MessageEvent<Word>) => say(message.data)
  port.start()
  port.postMessage('here')
  const beat = setInterval(() => port.postMessage('here'), HERE_EVERY_MS)
  const leave = (): void => port.postMessage('bye')
  const back = (event: PageTransitionEvent): void => {
    if (event.persisted) location.reload()
  }
  addEventListener('pagehide', leave)
  addEventListener('pageshow', back)
  return {
    again: () => port.postMessage('again'),
    close: () => {
      clearInterval(beat)
      removeEventListener('pagehide', leave)
      removeEventListener('pageshow', back)
      leave()
    },
  }
}

function ownStream(say: (word: Word) => void): Stream {
  const source = new Source('/api/v1/live', say)
  let timer: ReturnType<typeof setTimeout> | undefined
  let open = true
  const seen = (): void => {
    clearTimeout(timer)
    if (document.hidden) {
      timer = setTimeout(() => {
        source.close()
        open = false
      }, HIDDEN_CLOSES_MS)
    } else if (!open) {
      open = true
      source.open()
    }
  }
  document.addEventListener('visibilitychange', seen)
  source.open()
  return {
    again: () => source.open(),
    close: () => {
      document.removeEventListener('visibilitychange', seen)
      clearTimeout(timer)
      source.close()
    },
  }
}
