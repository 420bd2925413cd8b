// Draws one tile. Every state has a shape, a word or a sign besides its colour; a quiet plant is
// a grey screen.

import { FONT, type Palette } from '../core/palette.ts'
import type { Standing } from '../core/verdicts.ts'
import type { Size, Tile } from './layout.ts'

/** Deviations are drawn over this span on each side of the limit. */
export const SPAN = 0.03

export interface Cell {
  readonly id: string
  readonly name: string
  readonly value: string
  readonly unit: string
  readonly foot: string
  readonly note: string
  readonly standing: Standing
  readonly mandatory: boolean
  readonly dashed: boolean
  readonly also: boolean
  readonly deviation: number | null
  /** Half width of the uncertainty as a share of the limit. */
  readonly spread: number | null
  /** Other limits, as shares from the leading one. */
  readonly ticks: readonly number[]
}

export interface Brush {
  readonly context: CanvasRenderingContext2D
  readonly palette: Palette
  readonly hatch: CanvasPattern | string
  readonly scale: number
}

interface Look {
  readonly id: number
  readonly value: number
  readonly foot: number
  readonly pad: number
  readonly strip: number
  readonly bar: number
}

const LOOKS: Readonly<Record<Size, Look>> = {
  xl: { id: 13, value: 26, foot: 12, pad: 10, strip: 24, bar: 8 },
  l: { id: 12, value: 19, foot: 11, pad: 7, strip: 20, bar: 6 },
  m: { id: 11, value: 15, foot: 0, pad: 5, strip: 17, bar: 5 },
  s: { id: 11, value: 12.5, foot: 0, pad: 3, strip: 14, bar: 4 },
}

/** Paints a tile in its place, over whatever was there. */
export function paintTile(brush: Brush, tile: Tile, cell: Cell): void {
  const { context, palette, scale } = brush
  const look = LOOKS[tile.size]
  context.clearRect(tile.x - 1, tile.y - 1, tile.w + 2, tile.h + 2)
  context.fillStyle = cell.standing === 'unjudged' ? palette.panel : palette.tile
  context.fillRect(tile.x, tile.y, tile.w, tile.h)
  if (cell.standing === 'stale') {
    context.fillStyle = brush.hatch
    context.fillRect(tile.x, tile.y + look.strip * scale, tile.w, tile.h - look.strip * scale)
  }
  const ink = paintStrip(brush, tile, cell, look)
  paintText(brush, tile, cell, look, ink)
  if (cell.standing !== 'stale' && cell.deviation !== null) paintBar(brush, tile, cell, look)
  paintFrame(brush, tile, cell)
}

function font(size: number, weight: number): string {
  return `${weight} ${size}px ${FONT}`
}

function loud(brush: Brush, cell: Cell): { fill: string; text: string; edge: string } | null {
  const { palette } = brush
  if (cell.standing === 'exceeds') {
    return cell.mandatory
      ? { fill: palette.p1, text: palette['p1-text'], edge: palette.p1 }
      : { fill: palette.p2, text: palette['p2-text'], edge: palette.p2 }
  }
  if (cell.standing === 'stale') {
    return { fill: palette.p3, text: palette['p3-text'], edge: palette['p3-edge'] }
  }
  return null
}

function paintStrip(brush: Brush, tile: Tile, cell: Cell, look: Look): string {
  const colours = loud(brush, cell)
  if (!colours) return brush.palette.ink2
  brush.context.fillStyle = colours.fill
  brush.context.fillRect(tile.x, tile.y, tile.w, look.strip * brush.scale)
  return colours.text
}

function paintText(brush: Brush, tile: Tile, cell: Cell, look: Look, ink: string): void {
  const { context, palette, scale } = brush
  const pad = look.pad * scale
  const strip = look.strip * scale
  const mark = paintMark(brush, tile, cell, look, ink)
  context.textBaseline = 'middle'
  context.textAlign = 'left'
  context.fillStyle = ink
  context.font = font(look.id * scale, 500)
  const title = tile.size === 's' ? cell.id : cell.name
  clipped(context, title, tile.x + pad, tile.y + strip / 2 + scale, tile.w - 2 * pad - mark)
  const middle = tile.y + strip + (look.value * 0.62 + (look.foot > 0 ? 4 : 1)) * scale
  context.fillStyle = palette.ink
  context.font = font(look.value * scale, cell.standing === 'exceeds' ? 700 : 500)
  if (look.foot > 0) {
    context.fillText(cell.value, tile.x + pad, middle)
    const wide = context.measureText(cell.value).width
    context.fillStyle = palette.ink2
    context.font = font(look.foot * scale, 400)
    context.fillText(cell.unit, tile.x + pad + wide + 5 * scale, middle + 3 * scale)
    paintFoot(brush, tile, cell, look)
  } else {
    context.textAlign = 'right'
    context.fillText(cell.value, tile.x + tile.w - pad, middle)
  }
}

function paintFoot(brush: Brush, tile: Tile, cell: Cell, look: Look): void {
  const { context, palette, scale } = brush
  const pad = look.pad * scale
  const y = tile.y + tile.h - (look.foot * 0.5 + look.pad * 0.7) * scale
  context.font = font(look.foot * scale, 400)
  context.fillStyle = palette.ink2
  context.textAlign = 'right'
  const wide = Math.min(context.measureText(cell.note).width, tile.w * 0.6)
  clipped(context, cell.note, tile.x + tile.w - pad, y, tile.w * 0.6)
  context.textAlign = 'left'
  if (cell.standing === 'stale') {
    const under = Math.min(context.measureText(cell.foot).width + 2 * pad, tile.w)
    const high = look.foot * 1.6 * scale
    context.fillStyle = palette.tile
    context.fillRect(tile.x, y - high / 2, under, high)
    context.fillStyle = palette.ink
  }
  clipped(context, cell.foot, tile.x + pad, y, tile.w - 2 * pad - wide - 6 * scale)
}

function clipped(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  room: number,
): void {
  let shown = text
  while (shown.length > 1 && context.measureText(shown).width > room) {
    shown = `${shown.slice(0, shown.endsWith('…') ? -2 : -1)}…`
  }
  context.fillText(shown, x, y)
}

/** Square: over a mandatory limit. Triangle: over another. Circle: no data. ±: too close. */
function paintMark(brush: Brush, tile: Tile, cell: Cell, look: Look, ink: string): number {
  const sign = { exceeds: '!', stale: '?', indeterminate: '±' }[cell.standing as string]
  const hollow = sign === undefined && cell.also
  if (sign === undefined && !hollow) return 0
  const { context, scale } = brush
  const side = (look.strip - 5) * scale
  const x = tile.x + tile.w - look.pad * scale - side / 2
  const y = tile.y + (look.strip / 2) * scale + (hollow ? scale : 0)
  const solid = cell.standing === 'exceeds' || cell.standing === 'stale'
  const shape = cell.standing === 'exceeds' && cell.mandatory ? 'square' : 'circle'
  const triangle = hollow || (cell.standing === 'exceeds' && !cell.mandatory)
  if (solid || hollow) outline(context, triangle ? 'triangle' : shape, x, y, side / 2)
  if (solid) {
    context.fillStyle = ink
    context.fill()
  } else if (hollow) {
    context.strokeStyle = brush.palette['p2-ink']
    context.lineWidth = 1.25 * scale
    context.stroke()
  }
  const colours = loud(brush, cell)
  context.fillStyle = solid && colours ? colours.fill : hollow ? brush.palette['p2-ink'] : ink
  context.font = font(solid || hollow ? side * 0.78 : side * 1.15, 700)
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  context.fillText(sign ?? '!', x, y + (triangle ? side * 0.12 : side * 0.05))
  return side + 3 * scale
}

function outline(
  context: CanvasRenderingContext2D,
  shape: 'square' | 'triangle' | 'circle',
  x: number,
  y: number,
  half: number,
): void {
  context.beginPath()
  if (shape === 'square') context.rect(x - half, y - half, half * 2, half * 2)
  else if (shape === 'circle') context.arc(x, y, half, 0, Math.PI * 2)
  else {
    context.moveTo(x, y - half)
    context.lineTo(x + half * 1.1, y + half)
    context.lineTo(x - half * 1.1, y + half)
    context.closePath()
  }
}

function paintBar(brush: Brush, tile: Tile, cell: Cell, look: Look): void {
  const { context, palette, scale } = brush
  const pad = look.pad * scale
  const high = look.bar * scale
  const left = tile.x + pad
  const wide = tile.w - 2 * pad
  const foot = look.foot > 0 ? (look.foot + look.pad * 1.5) * scale : 3 * scale
  const top = tile.y + tile.h - foot - high
  const at = (ratio: number): number =>
    left + wide * (0.5 + Math.max(-1, Math.min(1, ratio / SPAN)) / 2)
  const centre = at(0)
  const end = at(cell.deviation ?? 0)
  context.fillStyle = palette.track
  context.fillRect(left, top, wide, high)
  context.fillStyle =
    loud(brush, cell)?.fill ??
    (cell.standing === 'near' || cell.standing === 'indeterminate'
      ? palette['bar-near']
      : palette.bar)
  context.fillRect(Math.min(centre, end), top, Math.max(scale, Math.abs(end - centre)), high)
  if (look.foot > 0) paintSpread(brush, cell, at, top, high)
  context.fillStyle = palette.ink
  context.fillRect(centre - scale * 0.75, top - 2 * scale, 1.5 * scale, high + 4 * scale)
}

function paintSpread(
  brush: Brush,
  cell: Cell,
  at: (ratio: number) => number,
  top: number,
  high: number,
): void {
  const { context, palette, scale } = brush
  context.fillStyle = palette.ink2
  for (const tick of cell.ticks) {
    if (Math.abs(tick) <= SPAN) context.fillRect(at(tick), top, scale, high)
  }
  if (cell.spread === null || cell.deviation === null) return
  const low = at(cell.deviation - cell.spread)
  const top2 = top + high / 2 - scale / 2
  context.fillStyle = palette.ink
  context.fillRect(low, top2, at(cell.deviation + cell.spread) - low, scale)
}

function paintFrame(brush: Brush, tile: Tile, cell: Cell): void {
  const { context, palette, scale } = brush
  const colours = loud(brush, cell)
  const width = colours ? 2 * scale : scale
  context.setLineDash(cell.dashed && !colours ? [4 * scale, 3 * scale] : [])
  if (colours) context.strokeStyle = colours.edge
  else if (cell.dashed) context.strokeStyle = palette.ink2
  else return
  context.lineWidth = width
  context.strokeRect(
    tile.x + width / 2,
    tile.y + width / 2,
    tile.w - width,
    tile.h - width,
  )
  context.setLineDash([])
}
