// The words that every view may need, in both languages, one file a subject in `words/`. A page that
// is loaded only when it is opened keeps its words there too and says them with a `speaker` of its
// own. The server sends codes and names, never sentences of the page.

import type { Lang } from './plant_time.ts'
import { ALERTS } from './words/alerts.ts'
import { filled, type Words } from './words/both.ts'
import { FIGURES } from './words/figures.ts'
import { FRAME } from './words/frame.ts'
import { SIGN } from './words/sign.ts'
import { TREND } from './words/trend.ts'
import { UNITS } from './words/units.ts'

/** One more subject is one more name here. */
export const SUBJECTS = [FRAME, SIGN, UNITS, FIGURES, TREND, ALERTS] as const

type KeysOf<S> = S extends Words<infer K> ? K : never
export type Key = KeysOf<(typeof SUBJECTS)[number]>
type Texts = Readonly<Record<Key, string>>

function together(lang: Lang): Texts {
  return Object.assign({}, ...SUBJECTS.map((subject) => subject[lang])) as Texts
}

export const CATALOGUES: Readonly<Record<Lang, Texts>> = { zh: together('zh'), en: together('en') }

/** The text of a key, its `{name}` places filled. */
export function say(lang: Lang, key: Key, fill: Readonly<Record<string, string | number>> = {}): string {
  return filled(CATALOGUES[lang][key], fill)
}

/** The text of a word the server sent, or the word itself when it is new to this page. */
export function sayWord(lang: Lang, word: string): string {
  const known: Readonly<Record<string, string>> = CATALOGUES[lang]
  return known[word] ?? word
}
