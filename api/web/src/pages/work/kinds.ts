// The kinds of production facts in words.

import type { Lang } from '../../core/plant_time.ts'
import { ENTRY_PAGE } from '../../core/words/entry_page.ts'

/** A kind in words; one that is new to this page as it came. */
export function kindText(lang: Lang, kind: string): string {
  const known: Readonly<Record<string, string>> = ENTRY_PAGE[lang]
  return known[kind === 'correction' ? 'correctionKind' : kind] ?? kind
}
