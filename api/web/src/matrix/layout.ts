// Where each tile lies. Pure geometry: the largest tile size that fits the height is taken, and a
// column count that divides the largest group evenly is preferred, so that rows line up.

import type { Group } from './groups.ts'

export type Size = 'xl' | 'l' | 'm' | 's'

interface Measure {
  readonly min: number
  readonly max: number
  readonly high: number
  readonly gap: number
}

/** Tile measures in px at scale 1; 46 px still holds five digits at 11 px. */
export const MEASURES: Readonly<Record<Size, Measure>> = {
  xl: { min: 230, max: 420, high: 132, gap: 8 },
  l: { min: 150, max: 260, high: 92, gap: 6 },
  m: { min: 96, max: 150, high: 62, gap: 4 },
  s: { min: 46, max: 64, high: 46, gap: 2 },
}
/** Tried in this order: the size of a site's few own units, and that of everything else. */
const SIZES: readonly (readonly [Size, Size])[] = [
  ['xl', 'xl'],
  ['xl', 'l'],
  ['l', 'l'],
  ['l', 'm'],
  ['m', 'm'],
  ['m', 's'],
]
/** A group of a site's own units up to this size counts as few. */
const FEW = 12
export const HEADING = 26
const GROUP_GAP = 6

export interface Tile {
  readonly at: number
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
  readonly row: number
  readonly size: Size
}
export interface Heading {
  readonly group: Group
  readonly y: number
}
export interface Layout {
  readonly scale: number
  readonly width: number
  readonly height: number
  readonly tiles: readonly Tile[]
  readonly headings: readonly Heading[]
}

/** Columns of tiles for a width: as many as fit, fewer if that divides the largest group. */
export function columnsFor(width: number, measure: Measure, largest: number): number {
  const most = Math.max(1, Math.floor((width + measure.gap) / (measure.min + measure.gap)))
  if (largest <= most) {
    // Few units grow instead of leaving the row empty, but never beyond their largest width.
    const fewest = Math.ceil((width + measure.gap) / (measure.max + measure.gap))
    return Math.max(1, Math.min(most, Math.max(largest, fewest)))
  }
  const least = Math.max(1, Math.ceil(most * 0.75))
  for (let columns = most; columns >= least; columns -= 1) {
    const wide = (width - (columns - 1) * measure.gap) / columns
    if (largest % columns === 0 && wide <= measure.max) return columns
  }
  return most
}

/** Places every tile; `room` is the height that should suffice, `scale` the root size over 16 px. */
export function layoutOf(
  groups: readonly Group[],
  width: number,
  room: number,
  scale: number,
): Layout {
  let found = place(groups, width, SIZES[0] ?? ['s', 's'], scale)
  for (const sizes of SIZES.slice(1)) {
    if (found.height <= room) break
    found = place(groups, width, sizes, scale)
  }
  return found
}

function isFew(group: Group): boolean {
  return group.parent === null && group.members.length <= FEW
}

function place(
  groups: readonly Group[],
  width: number,
  sizes: readonly [Size, Size],
  scale: number,
): Layout {
  const tiles: Tile[] = []
  const headings: Heading[] = []
  let y = 0
  let row = 0
  for (const group of groups) {
    const size = isFew(group) ? sizes[0] : sizes[1]
    const alike = groups.filter((other) => isFew(other) === isFew(group))
    const largest = alike.reduce((most, other) => Math.max(most, other.members.length), 0)
    const measure = scaled(MEASURES[size], scale)
    const columns = columnsFor(width, measure, largest)
    const share = (width - (columns - 1) * measure.gap) / columns
    const wide = Math.floor(Math.min(measure.max, share))
    headings.push({ group, y })
    y += HEADING * scale
    group.members.forEach((at, n) => {
      const line = Math.floor(n / columns)
      tiles.push({
        at,
        x: Math.round((n % columns) * (wide + measure.gap)),
        y: Math.round(y + line * (measure.high + measure.gap)),
        w: wide,
        h: Math.round(measure.high),
        row: row + line,
        size,
      })
    })
    const lines = Math.ceil(group.members.length / columns)
    row += lines
    y += lines * (measure.high + measure.gap) + GROUP_GAP * scale
  }
  return { scale, width, height: Math.ceil(y), tiles, headings }
}

function scaled(measure: Measure, scale: number): Measure {
  return {
    min: measure.min * scale,
    max: measure.max * scale,
    high: measure.high * scale,
    gap: measure.gap * scale,
  }
}

export type Move = 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown' | 'Home' | 'End'

/** The tile the focus moves to (a position in `tiles`), the same one at an edge. */
export function moved(layout: Layout, from: number, move: Move): number {
  const here = layout.tiles[from]
  if (!here) return 0
  if (move === 'Home') return 0
  if (move === 'End') return layout.tiles.length - 1
  if (move === 'ArrowLeft') return Math.max(0, from - 1)
  if (move === 'ArrowRight') return Math.min(layout.tiles.length - 1, from + 1)
  const row = here.row + (move === 'ArrowUp' ? -1 : 1)
  let best = from
  let nearest = Number.POSITIVE_INFINITY
  layout.tiles.forEach((tile, at) => {
    const far = Math.abs(tile.x + tile.w / 2 - here.x - here.w / 2)
    if (tile.row === row && far < nearest) {
      nearest = far
      best = at
    }
  })
  return best
}
