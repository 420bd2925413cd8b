// The address is the view: everything a shared link must show again is in its path and query.
// Anything unknown in an address falls back to its default instead of failing.

import type { Lang } from './plant_time.ts'
import type { Span } from './verdicts.ts'

export type Theme = 'light' | 'dark'
export type Order = 'position' | 'deviation'
export type Tab = 'unit' | 'verdicts'
export const RANGES = [7, 31, 92] as const
export type Range = (typeof RANGES)[number]

export interface Route {
  readonly site: string | null
  readonly unit: string | null
  /** The matrix shows every site although the path names one (a unit was opened from `/`). */
  readonly every: boolean
  readonly indicator: string | null
  readonly span: Span
  readonly range: Range
  readonly order: Order
  readonly abnormal: boolean
  readonly table: boolean
  /** What the right column shows where there is no room for both. */
  readonly tab: Tab
  readonly lang: Lang | null
  readonly theme: Theme | null
}

export const HOME: Route = {
  site: null,
  unit: null,
  every: true,
  indicator: null,
  span: 'month',
  range: 31,
  order: 'position',
  abnormal: false,
  table: false,
  tab: 'unit',
  lang: null,
  theme: null,
}

const SLUG = /^[a-z0-9][a-z0-9.-]{0,199}$/

function slug(text: string | null | undefined): string | null {
  return text && SLUG.test(text) ? text : null
}

function pick<T extends string>(text: string | null, choices: readonly T[]): T | null {
  return choices.find((choice) => choice === text) ?? null
}

/** The view an address names. */
export function parse(path: string, search: string): Route {
  const query = new URLSearchParams(search)
  const [head, site, mid, unit] = path.split('/').filter(Boolean)
  const atSite = head === 'p' ? slug(site) : null
  const range = Number(query.get('range'))
  return {
    site: atSite,
    unit: atSite && mid === 'u' ? slug(unit) : null,
    every: atSite === null || query.get('sites') === 'all',
    indicator: slug(query.get('indicator')),
    span: pick(query.get('span'), ['month', 'day']) ?? HOME.span,
    range: RANGES.find((choice) => choice === range) ?? HOME.range,
    order: pick(query.get('order'), ['position', 'deviation']) ?? HOME.order,
    abnormal: query.get('only') === 'abnormal',
    table: query.get('view') === 'table',
    tab: pick(query.get('tab'), ['unit', 'verdicts']) ?? HOME.tab,
    lang: pick(query.get('lang'), ['zh', 'en']),
    theme: pick(query.get('theme'), ['light', 'dark']),
  }
}

/** The address of a view; defaults are left out, so that a link stays short. */
export function format(route: Route): string {
  const path = route.site
    ? route.unit
      ? `/p/${route.site}/u/${route.unit}`
      : `/p/${route.site}`
    : '/'
  const query = new URLSearchParams()
  if (route.site && route.every) query.set('sites', 'all')
  if (route.indicator) query.set('indicator', route.indicator)
  if (route.span !== HOME.span) query.set('span', route.span)
  if (route.range !== HOME.range) query.set('range', String(route.range))
  if (route.order !== HOME.order) query.set('order', route.order)
  if (route.abnormal) query.set('only', 'abnormal')
  if (route.table) query.set('view', 'table')
  if (route.tab !== HOME.tab) query.set('tab', route.tab)
  if (route.lang) query.set('lang', route.lang)
  if (route.theme) query.set('theme', route.theme)
  const text = query.toString()
  return text ? `${path}?${text}` : path
}
