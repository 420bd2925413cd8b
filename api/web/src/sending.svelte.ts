// One write of a form: under way, refused with the server's reasons, or done. Nothing is written
// while the link is lost: what is on the screen may not be so any more.

import { Failure } from './core/client.ts'
import { page } from './page.svelte.ts'

export class Sending {
  busy = $state(false)
  /** Why the server did not do it, one sentence each. */
  wrong = $state.raw<readonly string[]>([])

  /** Writes; null where that was refused. */
  async run<T>(write: (csrf: string) => Promise<T>): Promise<T | null> {
    const csrf = page.session?.csrf
    if (!csrf || !page.live || this.busy) return null
    this.busy = true
    this.wrong = []
    try {
      return await write(csrf)
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      this.wrong = failure.reasons.length > 0 ? failure.reasons : [failure.message]
      if (failure.trouble === 'stranger') page.failed(failure)
      return null
    } finally {
      this.busy = false
    }
  }

  clear(): void {
    this.wrong = []
  }
}
