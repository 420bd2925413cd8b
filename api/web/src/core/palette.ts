// The tokens as colours a canvas can use: `light-dark()` is resolved by the browser through a
// probe element, once per change of theme.

export const TOKENS = [
  'bg',
  'panel',
  'tile',
  'line',
  'ink',
  'ink2',
  'bar',
  'bar-near',
  'track',
  'spark',
  'p1',
  'p1-text',
  'p1-ink',
  'p2',
  'p2-text',
  'p2-ink',
  'p3',
  'p3-text',
  'p3-edge',
  'focus',
  'hatch',
  'over-fill',
  'band',
] as const

export type Token = (typeof TOKENS)[number]
export type Palette = Readonly<Record<Token, string>>

export const FONT =
  '"Noto Sans SC","Noto Sans CJK SC","Microsoft YaHei UI","PingFang SC",system-ui,sans-serif'

/** Reads every token as it stands now. */
export function readPalette(): Palette {
  const probe = document.createElement('span')
  document.body.append(probe)
  const found = {} as Record<Token, string>
  for (const token of TOKENS) {
    probe.style.color = `var(--${token})`
    found[token] = getComputedStyle(probe).color
  }
  probe.remove()
  return found
}

/** A tile of diagonal lines: the one sign for "no data" everywhere. */
export function hatchPattern(
  context: CanvasRenderingContext2D,
  palette: Palette,
  ratio: number,
): CanvasPattern | string {
  const side = Math.round(6 * ratio)
  const canvas = document.createElement('canvas')
  canvas.width = side
  canvas.height = side
  const paint = canvas.getContext('2d')
  if (!paint) return palette.hatch
  paint.strokeStyle = palette.hatch
  paint.lineWidth = Math.max(1, ratio)
  paint.beginPath()
  for (const shift of [-side, 0, side]) {
    paint.moveTo(shift, side)
    paint.lineTo(shift + side, 0)
  }
  paint.stroke()
  return context.createPattern(canvas, 'repeat') ?? palette.hatch
}
