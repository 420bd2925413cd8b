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
  readonly x: number
  readonly y: number
  /** The width of its first row of tiles, which its text must keep to. */
  readonly w: number
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
  const sheet = { tiles, headings, y: 0, row: 0 }
  const largest = groups.reduce((most, one) => Math.max(most, isFew(one) ? 0 : one.members.length), 0)
  for (const run of runsOf(groups)) {
    const few = isFew(run[0] ?? EMPTY_GROUP)
    const size = few ? sizes[0] : sizes[1]
    const measure = scaled(MEASURES[size], scale)
    const columns = few ? columnsOfRun(run, width, measure) : columnsFor(width, measure, largest)
    fill(sheet, run, { size, measure, columns, width, scale })
  }
  return { scale, width, height: Math.ceil(sheet.y), tiles, headings }
}

const EMPTY_GROUP: Group = { key: '', site: '', parent: null, members: [] }

/** Neighbouring groups of few units share rows; any other group stands alone. */
function runsOf(groups: readonly Group[]): Group[][] {
  const runs: Group[][] = []
  for (const group of groups) {
    const last = runs.at(-1)
    const before = last?.at(-1)
    if (last && before && isFew(before) && isFew(group)) last.push(group)
    else runs.push([group])
  }
  return runs
}

function columnsOfRun(run: readonly Group[], width: number, measure: Measure): number {
  const most = Math.max(1, Math.floor((width + measure.gap) / (measure.min + measure.gap)))
  const total = run.reduce((sum, group) => sum + group.members.length, 0)
  if (total <= most) return columnsFor(width, measure, total)
  const largest = run.reduce((found, group) => Math.max(found, group.members.length), 0)
  return run.length === 1 || largest > most ? columnsFor(width, measure, largest) : most
}

interface Sheet {
  readonly tiles: Tile[]
  readonly headings: Heading[]
  y: number
  row: number
}
interface Grid {
  readonly size: Size
  readonly measure: Measure
  readonly columns: number
  readonly width: number
  readonly scale: number
}

/** Fills rows from the left; a group begins on the row before it where it fits there whole. */
function fill(sheet: Sheet, run: readonly Group[], grid: Grid): void {
  const { measure, columns, scale } = grid
  const share = (grid.width - (columns - 1) * measure.gap) / columns
  const wide = Math.floor(Math.min(measure.max, share))
  const across = (column: number): number => Math.round(column * (wide + measure.gap))
  const line = measure.high + measure.gap
  let used = columns
  let top = sheet.y
  for (const group of run) {
    const many = group.members.length
    if (used + many > columns) {
      used = 0
      top = sheet.y
      sheet.row = (sheet.tiles.at(-1)?.row ?? -1) + 1
      sheet.y += HEADING * scale + Math.ceil(many / columns) * line + GROUP_GAP * scale
    }
    const first = used
    const room = Math.min(many, columns) * (wide + measure.gap) - measure.gap
    sheet.headings.push({ group, x: across(first), y: top, w: room })
    group.members.forEach((at, n) => {
      const down = Math.floor(n / columns)
      sheet.tiles.push({
        at,
        x: across(first + (n % columns)),
        y: Math.round(top + HEADING * scale + down * line),
        w: wide,
        h: Math.round(measure.high),
        row: sheet.row + down,
        size: grid.size,
      })
    })
    used += many
  }
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
