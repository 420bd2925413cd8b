// Instants in plant time. The page never uses the viewer's own zone: a shift in Xining reads the
// same clock from anywhere.

export type Lang = 'zh' | 'en'
export const DEFAULT_ZONE = 'Asia/Shanghai'
export const MISSING_CLOCK = '--:--:--'

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatter(zone: string): Intl.DateTimeFormat {
  let held = formatters.get(zone)
  if (!held) {
    const options: Intl.DateTimeFormatOptions = {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    }
    held = new Intl.DateTimeFormat('en-GB', options)
    formatters.set(zone, held)
  }
  return held
}

export interface PlantParts {
  readonly year: string
  readonly month: string
  readonly day: string
  readonly hour: string
  readonly minute: string
  readonly second: string
}

/** The calendar and clock of an instant (milliseconds) in a plant's zone. */
export function parts(ms: number, zone: string): PlantParts {
  const found: Record<string, string> = {}
  for (const part of formatter(zone).formatToParts(ms)) found[part.type] = part.value
  const pick = (name: string): string => found[name] ?? '00'
  return {
    year: pick('year'),
    month: pick('month'),
    day: pick('day'),
    hour: pick('hour'),
    minute: pick('minute'),
    second: pick('second'),
  }
}

/** `07:00:10`. */
export function clock(ms: number, zone: string): string {
  const p = parts(ms, zone)
  return `${p.hour}:${p.minute}:${p.second}`
}

/** `07:00`. */
export function minute(ms: number, zone: string): string {
  const p = parts(ms, zone)
  return `${p.hour}:${p.minute}`
}

/** `11/21` in Chinese, `21/11` in English. */
export function day(ms: number, zone: string, lang: Lang): string {
  const p = parts(ms, zone)
  return lang === 'zh' ? `${p.month}/${p.day}` : `${p.day}/${p.month}`
}

/** `11/21 07:00` in Chinese, `21/11 07:00` in English. */
export function stamp(ms: number, zone: string, lang: Lang): string {
  return `${day(ms, zone, lang)} ${minute(ms, zone)}`
}

/** ISO 8601 with the plant's offset, for exports: `2026-11-21T07:00:00+08:00`. */
export function iso(ms: number, zone: string): string {
  const p = parts(ms, zone)
  const wall = `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}:${p.second}`
  const offset = Math.round((Date.parse(`${wall}Z`) - Math.floor(ms / 1000) * 1000) / 60_000)
  const sign = offset < 0 ? '-' : '+'
  const two = (n: number): string => String(n).padStart(2, '0')
  const size = Math.abs(offset)
  return `${wall}${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

/** The plant's midnight at or before an instant (ms), on days without a change of offset. */
export function midnight(ms: number, zone: string): number {
  const p = parts(ms, zone)
  const past = (Number(p.hour) * 60 + Number(p.minute)) * 60 + Number(p.second)
  return Math.floor(ms / 1000) * 1000 - past * 1000
}

/** The instant (ms) an RFC 3339 text names, or null. */
export function instant(text: string | null | undefined): number | null {
  if (!text) return null
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : ms
}
