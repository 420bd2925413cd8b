// Short phrases that several places say alike.

import { say } from './catalogue.ts'
import { figure } from './figures.ts'
import type { Lang } from './plant_time.ts'

/** `超目标 12 750`, `over mandatory 13 350`: what an exceeded limit is, by its force. */
export function overText(
  lang: Lang,
  limit: { readonly force?: string; readonly limit_value?: string | null },
  unit: string,
): string {
  const value = figure(limit.limit_value, unit)
  if (limit.force === 'mandatory') return say(lang, 'overMandatory', { value })
  return say(lang, limit.force === 'target' ? 'overTarget' : 'overReference', { value })
}
