// Which language, and how names and durations read in it. Works with an empty language list.

import { say } from './catalogue.ts'
import type { Lang } from './plant_time.ts'
import type { Named } from './wire.ts'

export const HTML_LANG: Readonly<Record<Lang, string>> = { zh: 'zh-CN', en: 'en' }

/** The language of a viewer: the address wins, then what was chosen before, then the browser. */
export function choose(
  asked: Lang | null,
  stored: string | null,
  browser: readonly string[] | undefined,
): Lang {
  if (asked) return asked
  if (stored === 'zh' || stored === 'en') return stored
  for (const tag of browser ?? []) {
    if (tag.toLowerCase().startsWith('zh')) return 'zh'
    if (tag.toLowerCase().startsWith('en')) return 'en'
  }
  return 'zh'
}

export interface Label {
  readonly text: string
  /** The language of the text when it is not the page's own. */
  readonly lang: string | undefined
}

/** A name in the viewer's language; the other one, marked, where it is missing; else the id. */
export function nameOf(named: Named | null | undefined, lang: Lang, id: string): Label {
  const own = named?.[lang]
  if (own) return { text: own, lang: undefined }
  const other: Lang = lang === 'zh' ? 'en' : 'zh'
  const foreign = named?.[other]
  return foreign ? { text: foreign, lang: HTML_LANG[other] } : { text: id, lang: undefined }
}

/** `8 s`, `3 m 5 s`, `1 h 15 m`, `2 d 4 h`. */
export function duration(seconds: number, lang: Lang): string {
  const total = Math.max(0, Math.floor(seconds))
  const m = Math.floor(total / 60)
  const h = Math.floor(m / 60)
  const d = Math.floor(h / 24)
  if (total < 60) return say(lang, 'seconds', { n: total })
  if (h < 1) return say(lang, 'minutes', { m, s: total % 60 })
  if (d < 1) return say(lang, 'hours', { h, m: m % 60 })
  return say(lang, 'days', { d, h: h % 24 })
}

/** The unit's own part of its id: `potline-1` of `gh-al.potline-1`. */
export function shortId(unit: string): string {
  return unit.slice(unit.lastIndexOf('.') + 1)
}
