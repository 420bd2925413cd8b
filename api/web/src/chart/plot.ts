// The one wrapper around uPlot: gaps hatched and never bridged, limits as steps, uncertainty as
// whiskers, what is over the limit tinted. Nothing outside this file knows the library.

import uPlot from 'uplot'
import { FONT, hatchPattern, type Palette } from '../core/palette.ts'
import { nameAhead, paintAhead, type Ahead } from './ahead.ts'

export interface Mark {
  /** Milliseconds, half-open. */
  readonly from: number
  readonly to: number
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  /** Partly measured: marked at the foot of the chart at every zoom. */
  readonly partial: boolean
  /** Not ended yet: drawn hollow. */
  readonly open: boolean
}
export interface LimitStep {
  readonly from: number
  readonly to: number
  readonly value: number
  readonly leads: boolean
  readonly label: string
}
export interface Drawing {
  readonly marks: readonly Mark[]
  readonly limits: readonly LimitStep[]
  readonly range: readonly [number, number]
  readonly style: 'dots' | 'steps'
  readonly palette: Palette
  readonly timeLabel: (ms: number) => string
  readonly valueLabel: (value: number) => string
  readonly ticks: (from: number, to: number, most: number) => number[]
  /** The time ahead of the marks, and until when (ms) the chart goes on. */
  readonly ahead?: Ahead | null
  readonly until?: number
}

const SECOND = 1000

export class Plot {
  private chart: uPlot | null = null
  private drawing: Drawing
  private readonly host: HTMLElement
  private readonly hover: (at: number | null) => void
  private readonly watcher: ResizeObserver

  constructor(host: HTMLElement, drawing: Drawing, hover: (at: number | null) => void) {
    this.host = host
    this.drawing = drawing
    this.hover = hover
    this.build()
    this.watcher = new ResizeObserver(() => this.resize())
    this.watcher.observe(host)
  }

  update(drawing: Drawing): void {
    this.drawing = drawing
    this.build()
  }

  /** Moves the read-out to a mark, or away. */
  point(at: number | null): void {
    const mark = at === null ? undefined : this.drawing.marks[at]
    if (!this.chart || !mark) return
    const left = this.chart.valToPos(middle(mark), 'x')
    this.chart.setCursor({ left, top: this.chart.over.clientHeight / 2 })
  }

  destroy(): void {
    this.watcher.disconnect()
    this.chart?.destroy()
    this.chart = null
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host
    if (width > 0 && height > 0) this.chart?.setSize({ width, height })
  }

  private build(): void {
    this.chart?.destroy()
    const { marks } = this.drawing
    const xs = marks.map(middle)
    const ys = marks.map((mark) => mark.value)
    this.chart = new uPlot(this.options(), [xs, ys], this.host)
  }

  private options(): uPlot.Options {
    const { drawing } = this
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
    const axis = {
      stroke: drawing.palette.ink2,
      grid: { stroke: drawing.palette.track, width: 1 },
      ticks: { show: false },
      font: `${rem * 0.75}px ${FONT}`,
    }
    const first = drawing.marks[0]?.from ?? 0
    const last = drawing.until ?? drawing.marks.at(-1)?.to ?? 1
    return {
      width: Math.max(1, this.host.clientWidth),
      height: Math.max(1, this.host.clientHeight),
      legend: { show: false },
      padding: [rem * 0.5, rem * 0.75, 0, 0],
      cursor: {
        drag: { x: false, y: false },
        points: { show: false },
        y: false,
      },
      scales: {
        x: { time: false, range: () => [first / SECOND, last / SECOND] },
        y: { range: () => [drawing.range[0], drawing.range[1]] },
      },
      axes: [
        {
          ...axis,
          size: rem * 1.6,
          gap: rem * 0.25,
          splits: (u: uPlot) => {
            const most = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / (rem * 4.2)))
            return drawing.ticks(first, last, most).map((ms) => ms / SECOND)
          },
          values: (_: uPlot, splits: number[]) => splits.map((s) => drawing.timeLabel(s * SECOND)),
        },
        {
          ...axis,
          size: rem * 3.6,
          gap: rem * 0.4,
          space: rem * 2.4,
          values: (_: uPlot, splits: number[]) => splits.map((v) => drawing.valueLabel(v)),
        },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: {
        drawClear: [(u: uPlot) => this.under(u)],
        draw: [(u: uPlot) => this.over(u)],
        setCursor: [
          (u: uPlot) => {
            const left = u.cursor.left ?? -1
            this.hover(left < 0 ? null : this.markAt(u.posToVal(left, 'x') * SECOND))
          },
        ],
      },
    }
  }

  private markAt(ms: number): number | null {
    const at = this.drawing.marks.findIndex((mark) => mark.from <= ms && ms < mark.to)
    return at < 0 ? null : at
  }

  private under(u: uPlot): void {
    const { palette, marks } = this.drawing
    const { left, top, width, height } = u.bbox
    const context = u.ctx
    context.save()
    context.beginPath()
    context.rect(left, top, width, height)
    context.clip()
    context.fillStyle = hatchPattern(context, palette, devicePixelRatio)
    for (const mark of marks) {
      if (mark.value !== null) continue
      const from = across(u, mark.from)
      context.fillRect(from, top, Math.max(2, across(u, mark.to) - from), height)
    }
    context.restore()
  }

  private over(u: uPlot): void {
    const context = u.ctx
    const { left, top, width, height } = u.bbox
    context.save()
    context.beginPath()
    context.rect(left, top - 2, width, height + 4)
    context.clip()
    const runs = this.runs()
    this.tint(u, runs)
    this.limits(u)
    if (this.drawing.style === 'dots') this.whiskers(u)
    this.lines(u, runs)
    this.partials(u)
    const { ahead, palette } = this.drawing
    if (ahead) paintAhead(u, ahead, palette)
    context.restore()
    this.names(u)
    if (ahead) nameAhead(u, ahead, palette)
  }

  /** Marks with a value, cut at every gap. */
  private runs(): Mark[][] {
    const runs: Mark[][] = []
    let run: Mark[] = []
    for (const mark of this.drawing.marks) {
      if (mark.value !== null) run.push(mark)
      else if (run.length > 0) {
        runs.push(run)
        run = []
      }
    }
    if (run.length > 0) runs.push(run)
    return runs
  }

  private trace(u: uPlot, run: readonly Mark[]): void {
    run.forEach((mark, n) => {
      const y = up(u, mark.value ?? 0)
      if (this.drawing.style === 'steps') {
        if (n === 0) u.ctx.moveTo(across(u, mark.from), y)
        else u.ctx.lineTo(across(u, mark.from), y)
        u.ctx.lineTo(across(u, mark.to), y)
      } else if (n === 0) u.ctx.moveTo(across(u, middle(mark) * SECOND), y)
      else u.ctx.lineTo(across(u, middle(mark) * SECOND), y)
    })
  }

  /** Tints what lies between the line and the leading limit, above the limit only. */
  private tint(u: uPlot, runs: readonly Mark[][]): void {
    const context = u.ctx
    const floor = u.bbox.top + u.bbox.height
    for (const limit of this.drawing.limits.filter((step) => step.leads)) {
      const from = across(u, limit.from)
      const edge = up(u, limit.value)
      context.save()
      context.beginPath()
      context.rect(from, u.bbox.top, across(u, limit.to) - from, edge - u.bbox.top)
      context.clip()
      context.fillStyle = this.drawing.palette['over-fill']
      for (const whole of runs) {
        // What an hour of an open day shows is no finding to be coloured.
        const run = whole.filter((mark) => !mark.open)
        const [head, tail] = [run[0], run.at(-1)]
        if (!head || !tail || run.length < 2) continue
        context.beginPath()
        this.trace(u, run)
        context.lineTo(across(u, middle(tail) * SECOND), floor)
        context.lineTo(across(u, middle(head) * SECOND), floor)
        context.fill()
      }
      context.restore()
    }
  }

  private limits(u: uPlot): void {
    const context = u.ctx
    const ratio = devicePixelRatio
    let last: { x: number; y: number } | null = null
    for (const limit of this.drawing.limits) {
      const y = up(u, limit.value)
      const [from, to] = [across(u, limit.from), across(u, limit.to)]
      context.beginPath()
      if (limit.leads && last && Math.abs(last.x - from) < 2) context.moveTo(last.x, last.y)
      else context.moveTo(from, y)
      context.lineTo(from, y)
      context.lineTo(to, y)
      context.strokeStyle = limit.leads ? this.drawing.palette.ink : this.drawing.palette.ink2
      context.lineWidth = (limit.leads ? 1.75 : 1) * ratio
      context.setLineDash(limit.leads ? [6 * ratio, 4 * ratio] : [2 * ratio, 4 * ratio])
      context.stroke()
      if (limit.leads) last = { x: to, y }
    }
    context.setLineDash([])
  }

  private whiskers(u: uPlot): void {
    const context = u.ctx
    context.strokeStyle = this.drawing.palette.bar
    context.lineWidth = devicePixelRatio
    const cap = 2.5 * devicePixelRatio
    for (const mark of this.drawing.marks) {
      if (mark.low === null || mark.high === null) continue
      const x = across(u, middle(mark) * SECOND)
      const [low, high] = [up(u, mark.low), up(u, mark.high)]
      context.beginPath()
      context.moveTo(x, low)
      context.lineTo(x, high)
      for (const y of [low, high]) {
        context.moveTo(x - cap, y)
        context.lineTo(x + cap, y)
      }
      context.stroke()
    }
  }

  private lines(u: uPlot, runs: readonly Mark[][]): void {
    const context = u.ctx
    const ratio = devicePixelRatio
    const { palette, style } = this.drawing
    context.strokeStyle = palette.ink
    context.lineWidth = 1.5 * ratio
    context.lineJoin = 'round'
    for (const run of runs) {
      context.beginPath()
      this.trace(u, run)
      context.stroke()
      if (style === 'dots') for (const mark of run) this.dot(u, mark)
    }
  }

  private dot(u: uPlot, mark: Mark): void {
    const context = u.ctx
    const { palette } = this.drawing
    const most = (u.bbox.width / Math.max(1, this.drawing.marks.length)) * 0.3
    context.beginPath()
    const radius = Math.min(2.75 * devicePixelRatio, Math.max(1.5 * devicePixelRatio, most))
    const [x, y] = [across(u, middle(mark) * SECOND), up(u, mark.value ?? 0)]
    const { top, height } = u.bbox
    if (y < top || y > top + height) {
      this.beyond(u, x, y < top ? top : top + height, y < top ? 1 : -1)
      return
    }
    context.arc(x, y, mark.open ? radius * 1.3 : radius, 0, Math.PI * 2)
    context.fillStyle = mark.open ? palette.panel : palette.ink
    context.fill()
    if (mark.open) context.stroke()
  }

  /** A figure off the scale: a hollow arrow at the edge, its number in the read-out. */
  private beyond(u: uPlot, x: number, edge: number, turn: 1 | -1): void {
    const context = u.ctx
    const size = 5 * devicePixelRatio
    context.beginPath()
    context.moveTo(x, edge + turn)
    context.lineTo(x - size, edge + turn * size * 1.5)
    context.lineTo(x + size, edge + turn * size * 1.5)
    context.closePath()
    context.fillStyle = this.drawing.palette.panel
    context.fill()
    context.stroke()
  }

  private partials(u: uPlot): void {
    const foot = u.bbox.top + u.bbox.height
    const high = 3 * devicePixelRatio
    u.ctx.fillStyle = this.drawing.palette.ink2
    for (const mark of this.drawing.marks) {
      if (!mark.partial || mark.value === null) continue
      const from = across(u, mark.from)
      u.ctx.fillRect(from, foot - high, Math.max(2, across(u, mark.to) - from), high)
    }
  }

  /** The number of the leading limit, once per step, with a halo so that a line cannot hide it. */
  private names(u: uPlot): void {
    const context = u.ctx
    const { palette } = this.drawing
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
    context.save()
    context.lineJoin = 'round'
    context.lineWidth = 4 * devicePixelRatio
    context.strokeStyle = palette.panel
    context.textBaseline = 'bottom'
    context.textAlign = 'left'
    let free = 0
    const used: number[] = []
    const byRank = [...this.drawing.limits].sort((a, b) => Number(b.leads) - Number(a.leads))
    for (const limit of byRank) {
      context.font = `${limit.leads ? 600 : 400} ${rem * 0.75 * devicePixelRatio}px ${FONT}`
      const y = up(u, limit.value)
      if (y < u.bbox.top || y > u.bbox.top + u.bbox.height || !limit.label) continue
      // Labels of limits that lie close together would overprint: the first one stands.
      if (!limit.leads && used.some((other) => Math.abs(other - y) < rem * devicePixelRatio)) continue
      used.push(y)
      const wide = context.measureText(limit.label).width
      const from = across(u, limit.from) + 4 * devicePixelRatio
      const right = u.bbox.left + u.bbox.width - wide - 2 * devicePixelRatio
      if (!limit.leads && across(u, limit.to) < u.bbox.left + u.bbox.width * 0.9) continue
      const left = u.bbox.left + 4 * devicePixelRatio
      const x = limit.leads ? Math.min(Math.max(from, left, free), right) : right
      context.fillStyle = limit.leads ? palette.ink : palette.ink2
      context.strokeText(limit.label, x, y - 2 * devicePixelRatio)
      context.fillText(limit.label, x, y - 2 * devicePixelRatio)
      if (limit.leads) free = x + wide + 8 * devicePixelRatio
    }
    context.restore()
  }
}

function middle(mark: Mark): number {
  return (mark.from + mark.to) / 2 / SECOND
}
function across(u: uPlot, ms: number): number {
  return u.valToPos(ms / SECOND, 'x', true)
}
function up(u: uPlot, value: number): number {
  return u.valToPos(value, 'y', true)
}
