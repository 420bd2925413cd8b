// What corrections of limits read, in words: a plant declares it, or a verdict says that it is missing.

import type { Lang } from './plant_time.ts'

const WORDS: Readonly<Record<string, Readonly<Record<Lang, string>>>> = {
  altitude_m: { zh: '海拔', en: 'altitude' },
  ambient_pressure_pa: { zh: '环境气压', en: 'ambient pressure' },
  ore_grade: { zh: '矿石品位', en: 'ore grade' },
  cr_fe_ratio: { zh: '铬铁比', en: 'Cr/Fe ratio' },
  clinker_share: { zh: '熟料占比', en: 'clinker share' },
  feed_grade: { zh: '入炉品位', en: 'feed grade' },
  scrap_share: { zh: '废钢比', en: 'scrap share' },
  rare_earth_ore_share: { zh: '稀土矿占比', en: 'share of rare-earth ore' },
  vanadium_titanium_ore_share: { zh: '钒钛矿占比', en: 'share of vanadium-titanium ore' },
  laterite_ore_share: { zh: '红土矿占比', en: 'share of laterite ore' },
}

/** Declared inputs in words; one that is new to the page as it came. */
export function inputsText(lang: Lang, names: readonly string[]): string {
  return names.map((name) => WORDS[name]?.[lang] ?? name).join(lang === 'zh' ? '、' : ', ')
}
