// Draws one tile. Every state has a shape, a word or a sign besides its colour; a quiet plant is
// a grey screen.

import type { Priority } from '../core/alerts.ts'
import { FONT, type Palette } from '../core/palette.ts'
import type { Grade, Standing } from '../core/verdicts.ts'
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
  /** Of the exceeded limit, none where nothing is exceeded. */
  readonly grade: Grade | undefined
  /** The exceeded limit in words, on tiles with room for them. */
  readonly over: string
  /** Where the coloured part of the bar begins, as a share from the leading limit. */
  readonly reach: number
  /** Priority of the unit's gravest alert, 0 without one. */
  readonly alert: Priority
  readonly acknowledged: boolean
  readonly dashed: boolean
  /** Another indicator of the unit exceeds a limit. */
  readonly elsewhere: boolean
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

interface Colours {
  readonly fill: string
  readonly text: string
  readonly edge: string
  /** Drawn as an outline: the strip stays as it is. */
  readonly outline: boolean
}

/** The colours of a tile that asks for a look; acknowledged ones and lapsed limits are outlines. */
function loud(brush: Brush, cell: Cell): Colours | null {
  const { palette } = brush
  const outline = cell.acknowledged
  if (cell.standing === 'stale') {
    return { fill: palette.p3, text: palette['p3-text'], edge: palette['p3-edge'], outline: false }
  }
  if (cell.grade === 'mandatory') {
    return { fill: palette.p1, text: palette['p1-text'], edge: palette.p1, outline }
  }
  if (cell.grade === 'target' || cell.grade === 'lapsed') {
    const lapsed = cell.grade === 'lapsed'
    const { p2: fill, 'p2-text': text } = palette
    return { fill, text, edge: fill, outline: outline || lapsed }
  }
  return null
}

function paintStrip(brush: Brush, tile: Tile, cell: Cell, look: Look): string {
  const colours = loud(brush, cell)
  if (!colours || colours.outline) return brush.palette[cell.grade ? 'ink' : 'ink2']
  brush.context.fillStyle = colours.fill
  brush.context.fillRect(tile.x, tile.y, tile.w, look.strip * brush.scale)
  return colours.text
}

function paintText(brush: Brush, tile: Tile, cell: Cell, look: Look, ink: string): void {
  const { context, palette, scale } = brush
  const pad = look.pad * scale
  const strip = look.strip * scale
  const mark = paintMarks(brush, tile, cell, look, ink)
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
    const taken = wide + 10 * scale + context.measureText(cell.unit).width
    paintOver(brush, tile, cell, look, taken)
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

/** Names the exceeded limit: beside the value where it fits, else on a line of its own. */
function paintOver(brush: Brush, tile: Tile, cell: Cell, look: Look, taken: number): void {
  if (cell.over === '') return
  const { context, palette, scale } = brush
  const pad = look.pad * scale
  context.font = font(look.foot * scale, 600)
  context.fillStyle = palette[cell.grade === 'mandatory' ? 'p1-ink' : 'p2-ink']
  const top = tile.y + (look.strip + look.value * 0.62 + 7) * scale
  const wide = context.measureText(cell.over).width
  if (taken + wide + 2 * pad <= tile.w) {
    context.textAlign = 'right'
    context.fillText(cell.over, tile.x + tile.w - pad, top)
  } else {
    context.textAlign = 'left'
    const under = top + (look.value * 0.5 + look.foot * 0.6) * scale
    clipped(context, cell.over, tile.x + pad, under, tile.w - 2 * pad)
  }
  context.textAlign = 'left'
}

interface Sign {
  readonly shape: 'square' | 'triangle' | 'circle' | 'none'
  readonly text: string
  readonly fill: string | null
  readonly edge: string | null
  readonly ink: string
}

/** What the verdict says: square, triangle or circle; `±` where it is too close to tell. */
function verdictSign(brush: Brush, cell: Cell, ink: string): Sign | null {
  const colours = loud(brush, cell)
  const { palette } = brush
  if (cell.standing === 'stale' && colours) {
    return { shape: 'circle', text: '?', fill: ink, edge: null, ink: colours.fill }
  }
  if (cell.standing === 'exceeds') {
    const shape = cell.grade === 'mandatory' ? 'square' : 'triangle'
    if (!colours) return { shape, text: '!', fill: null, edge: ink, ink }
    if (!colours.outline) return { shape, text: '!', fill: ink, edge: null, ink: colours.fill }
    if (cell.grade === 'lapsed') {
      return { shape, text: '!', fill: null, edge: colours.fill, ink: palette['p2-ink'] }
    }
    return { shape, text: '!', fill: colours.fill, edge: null, ink: colours.text }
  }
  if (cell.elsewhere) {
    return { shape: 'triangle', text: '!', fill: null, edge: palette.p2, ink: palette['p2-ink'] }
  }
  if (cell.standing !== 'indeterminate') return null
  return { shape: 'none', text: '±', fill: null, edge: null, ink }
}

/** The unit's gravest alert: 1 in a square, 2 in a triangle, 3 in a circle; an outline once seen. */
function alertSign(brush: Brush, cell: Cell): Sign | null {
  if (cell.alert === 0) return null
  const { palette } = brush
  const shape = ({ 1: 'square', 2: 'triangle', 3: 'circle' } as const)[cell.alert]
  const fill = palette[({ 1: 'p1', 2: 'p2', 3: 'p3' } as const)[cell.alert]]
  const edge = cell.alert === 3 ? palette['p3-edge'] : fill
  const text = palette[({ 1: 'p1-text', 2: 'p2-text', 3: 'p3-text' } as const)[cell.alert]]
  const number = String(cell.alert)
  // On a filled strip the mark stands on a patch of the tile's own colour, whatever the strip's.
  if (!cell.acknowledged) return { shape, text: number, fill, edge, ink: text }
  return { shape, text: number, fill: palette.tile, edge, ink: palette.ink }
}

/** Paints the marks of a strip from the right; a small tile has room for one. */
function paintMarks(brush: Brush, tile: Tile, cell: Cell, look: Look, ink: string): number {
  const { scale } = brush
  const alert = alertSign(brush, cell)
  const verdict = tile.size === 's' && alert ? null : verdictSign(brush, cell, ink)
  const side = (look.strip - 5) * scale
  let right = tile.x + tile.w - look.pad * scale
  for (const sign of [alert, verdict]) {
    if (!sign) continue
    paintSign(brush, sign, right - side / 2, tile.y + (look.strip / 2) * scale + scale / 2, side)
    right -= side + 5 * scale
  }
  return tile.x + tile.w - look.pad * scale - right
}

function paintSign(brush: Brush, sign: Sign, x: number, y: number, side: number): void {
  const { context, palette, scale } = brush
  if (sign.shape !== 'none') {
    outline(context, sign.shape, x, y, side / 2)
    if (sign.fill) {
      context.fillStyle = sign.fill
      context.fill()
    }
    if (sign.edge) {
      context.strokeStyle = sign.edge
      context.lineWidth = 1.5 * scale
      context.stroke()
      if (sign.fill === sign.edge) {
        context.strokeStyle = palette.tile
        context.lineWidth = scale
        context.stroke()
      }
    }
  }
  context.fillStyle = sign.ink
  context.font = font(side * (sign.shape === 'none' ? 1.15 : 0.78), 700)
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  context.fillText(sign.text, x, y + side * (sign.shape === 'triangle' ? 0.12 : 0.05))
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
  const colours = loud(brush, cell)
  context.fillStyle = palette.track
  context.fillRect(left, top, wide, high)
  const near = cell.standing === 'near' || cell.standing === 'indeterminate'
  context.fillStyle = near ? palette['bar-near'] : palette.bar
  // Without an exceeded limit the bar runs from the leading limit to the value, grey.
  const from = colours ? at(cell.reach) : centre
  const [start, long] = [Math.min(from, end), Math.max(scale, Math.abs(end - from))]
  if (colours && cell.grade === 'lapsed') {
    context.strokeStyle = colours.fill
    context.lineWidth = 1.25 * scale
    context.strokeRect(start + scale / 2, top + scale / 2, long - scale, high - scale)
  } else {
    if (colours) context.fillStyle = colours.fill
    context.fillRect(start, top, long, high)
  }
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
