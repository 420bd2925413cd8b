// Numbers as a control room reads them: thin-space groups, a true minus sign, never NaN, never a
// blank. A missing figure is a dash; rounding happens here and nowhere else.

export const MISSING = '—'
export const UNSURE = '?'
const THIN_SPACE = '\u2009'
const MINUS = '\u2212'
const GROUP_FROM_DIGITS = 5

/** The number in a decimal string for drawing, or null when there is none. */
export function numberOf(text: string | null | undefined): number | null {
  if (text === null || text === undefined || text === '') return null
  const value = Number(text)
  return Number.isFinite(value) ? value : null
}

/** `13 268`, `122.4`, `−4`: fixed places, grouped from five digits, never negative zero. */
export function fixed(value: number, places: number): string {
  const text = Math.abs(value).toFixed(places)
  const sign = value < 0 && Number(text) !== 0 ? MINUS : ''
  const [whole = '0', part] = text.split('.')
  const grouped =
    whole.length >= GROUP_FROM_DIGITS ? whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE) : whole
  return part === undefined ? sign + grouped : `${sign}${grouped}.${part}`
}

/** Decimal places an intensity is drawn with: kgce/t and other small figures need one. */
export function placesOf(unit: string): number {
  return unit.startsWith('kgce') || unit.startsWith('tce') ? 1 : 0
}

/** Decimal places of an axis: enough that its labels differ, however close its ends lie. */
export function axisPlaces(range: readonly [number, number], places: number): number {
  const step = (range[1] - range[0]) / 5
  return step > 0 ? Math.min(6, Math.max(places, Math.ceil(-Math.log10(step)))) : places
}

/** An intensity or limit as text, in its unit's places; a dash when absent. */
export function figure(text: string | null | undefined, unit: string, extra = 0): string {
  const value = numberOf(text)
  return value === null ? MISSING : fixed(value, placesOf(unit) + extra)
}

/** `+3.1%`, `−0.5%`, `±0.0%`: positive is above the limit, always signed. */
export function deviationText(ratio: number | null, places = 1): string {
  if (ratio === null) return MISSING
  const percent = ratio * 100
  if (Number(Math.abs(percent).toFixed(places)) === 0) return `±${(0).toFixed(places)}%`
  return `${percent > 0 ? '+' : ''}${fixed(percent, places)}%`
}

/** Completeness with one place, rounded down so that 99.96 % never reads as complete. */
export function completenessText(ratio: number | null): string {
  if (ratio === null) return MISSING
  return `${fixed(Math.floor(ratio * 1000 + 1e-9) / 10, 1)}%`
}

/** Power in MW from 10 MW up, in kW below. */
export function powerText(kilowatts: string | number | null): { value: string; unit: string } {
  const value = typeof kilowatts === 'number' ? kilowatts : numberOf(kilowatts)
  if (value === null) return { value: MISSING, unit: 'kW' }
  return Math.abs(value) >= 10_000
    ? { value: fixed(value / 1000, 1), unit: 'MW' }
    : { value: fixed(value, 0), unit: 'kW' }
}
