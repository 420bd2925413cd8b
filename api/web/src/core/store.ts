// The units on the page, in a plain array: 600 of them change every second, so they live outside
// the framework's reactivity. Whoever draws subscribes and is told which ones changed.

import type { UnitView } from './wire.ts'

export type Listener = (changed: readonly number[]) => void

export class UnitStore {
  units: UnitView[] = []
  /** When the snapshot was taken; null until one succeeded: emptiness proves nothing before. */
  loadedAt: number | null = null
  private index = new Map<string, number>()
  private listeners = new Set<Listener>()

  /** Replaces everything by a snapshot, in the server's order. */
  load(units: readonly UnitView[], at: number): void {
    this.units = [...units]
    this.index = new Map(units.map((unit, at) => [unit.unit, at]))
    this.loadedAt = at
    this.tell(this.units.map((_, at) => at))
  }

  /** Applies changed units; one never seen is appended. */
  merge(units: readonly UnitView[]): void {
    const changed: number[] = []
    for (const unit of units) {
      let at = this.index.get(unit.unit)
      if (at === undefined) {
        at = this.units.length
        this.index.set(unit.unit, at)
      }
      this.units[at] = unit
      changed.push(at)
    }
    if (changed.length > 0) this.tell(changed)
  }

  /** Forgets everything: a stranger sees nothing. */
  clear(): void {
    this.units = []
    this.index.clear()
    this.loadedAt = null
    this.tell([])
  }

  find(unit: string | null): UnitView | undefined {
    const at = unit === null ? undefined : this.index.get(unit)
    return at === undefined ? undefined : this.units[at]
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private tell(changed: readonly number[]): void {
    for (const listener of this.listeners) listener(changed)
  }
}
