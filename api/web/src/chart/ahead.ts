// What a chart shows of the time ahead: the line foreseen, its bands, where the present is.

import type uPlot from 'uplot'
import type { WayPoint } from '../core/outlook.ts'
import { FONT, type Palette } from '../core/palette.ts'

export interface Ahead {
  readonly way: readonly WayPoint[]
  /** The instant (ms) until which figures are known, with its word. */
  readonly now: number
  readonly nowLabel: string
  /** The end foreseen, as it is written beside its dot, and whether it breaks a limit. */
  readonly endLabel: string
  readonly grave: boolean
}

/** Draws it over the marks; the caller has set the clip. */
export function paintAhead(u: uPlot, ahead: Ahead, palette: Palette): void {
  const context = u.ctx
  const ratio = devicePixelRatio
  const x = (ms: number): number => u.valToPos(ms / 1000, 'x', true)
  const y = (value: number): number => u.valToPos(value, 'y', true)
  const { way } = ahead
  context.strokeStyle = palette.ink2
  context.lineWidth = ratio
  context.beginPath()
  context.moveTo(x(ahead.now), u.bbox.top)
  context.lineTo(x(ahead.now), u.bbox.top + u.bbox.height)
  context.stroke()
  if (way.length === 0) return
  context.fillStyle = palette.band
  const bands = [
    ['lowest', 'highest'],
    ['low', 'high'],
  ] as const
  for (const [low, high] of bands) {
    context.beginPath()
    for (const point of way) context.lineTo(x(point.at), y(point[high]))
    for (const point of way.toReversed()) context.lineTo(x(point.at), y(point[low]))
    context.fill()
  }
  context.strokeStyle = palette.ink
  context.lineWidth = 1.5 * ratio
  context.setLineDash([3 * ratio, 3 * ratio])
  context.beginPath()
  for (const point of way) context.lineTo(x(point.at), y(point.value))
  context.stroke()
  context.setLineDash([])
}

/** The words of the time ahead, outside the clip. */
export function nameAhead(u: uPlot, ahead: Ahead, palette: Palette): void {
  const context = u.ctx
  const ratio = devicePixelRatio
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  const right = u.bbox.left + u.bbox.width
  context.save()
  context.font = `400 ${rem * 0.75 * ratio}px ${FONT}`
  context.lineJoin = 'round'
  context.lineWidth = 4 * ratio
  context.strokeStyle = palette.panel
  context.fillStyle = palette.ink2
  context.textBaseline = 'top'
  const now = u.valToPos(ahead.now / 1000, 'x', true)
  const half = context.measureText(ahead.nowLabel).width / 2
  context.textAlign = 'center'
  const middle = Math.min(Math.max(now, u.bbox.left + half), right - half)
  context.strokeText(ahead.nowLabel, middle, u.bbox.top + 2 * ratio)
  context.fillText(ahead.nowLabel, middle, u.bbox.top + 2 * ratio)
  const end = ahead.way.at(-1)
  if (end) {
    const at = u.valToPos(end.value, 'y', true)
    context.fillStyle = ahead.grave ? palette.p2 : palette.ink
    context.beginPath()
    context.arc(right - 3 * ratio, at, 3.5 * ratio, 0, Math.PI * 2)
    context.fill()
    context.fillStyle = ahead.grave ? palette['p2-ink'] : palette.ink
    context.font = `600 ${rem * 0.8125 * ratio}px ${FONT}`
    context.textAlign = 'right'
    context.textBaseline = 'bottom'
    context.strokeText(ahead.endLabel, right - 8 * ratio, at - 6 * ratio)
    context.fillText(ahead.endLabel, right - 8 * ratio, at - 6 * ratio)
  }
  context.restore()
}
