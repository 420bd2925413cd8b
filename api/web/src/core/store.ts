// The units on the page, in a plain array: 600 of them change every second, so they live outside
// the framework's reactivity. Whoever draws subscribes and is told which ones changed.

import { applied } from './delta.ts'
import { isWhole, type UnitChange, type UnitView } from './wire.ts'

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

  /** Applies changes; a unit never seen is appended once all of it is told. */
  merge(changes: readonly UnitChange[]): void {
    const changed: number[] = []
    for (const change of changes) {
      const at = this.index.get(change.unit) ?? this.units.length
      const held = this.units[at]
      if (isWhole(change)) this.units[at] = change
      else if (held) this.units[at] = applied(held, change)
      else continue
      this.index.set(change.unit, at)
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
