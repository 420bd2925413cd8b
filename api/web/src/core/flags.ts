// What a figure's flags mean, in a word or two each.

import type { Lang } from './plant_time.ts'

const WORDS: Readonly<Record<string, Readonly<Record<Lang, string>>>> = {
  rollover: { zh: '表计翻转', en: 'meter rolled over' },
  reset: { zh: '表计清零', en: 'meter reset' },
  exchange: { zh: '换表', en: 'meter exchanged' },
  gap: { zh: '有缺口', en: 'has gaps' },
  implausible: { zh: '不可信读数', en: 'implausible step' },
  spike: { zh: '剔除尖峰', en: 'spike left out' },
  confirmed: { zh: '人工确认', en: 'confirmed by hand' },
  uncertain: { zh: '读数存疑', en: 'uncertain readings' },
  multiplier_unknown: { zh: '倍率未知', en: 'multiplier unknown' },
  multiplier_changed: { zh: '倍率变更', en: 'multiplier changed' },
  estimated: { zh: '含估算', en: 'partly estimated' },
  uncertainty_undeclared: { zh: '准确度未申报', en: 'accuracy undeclared' },
  stock_not_taken: { zh: '未盘存', en: 'stock not taken' },
  grade_missing: { zh: '缺品位', en: 'grade missing' },
  factor_unknown: { zh: '折标系数未知', en: 'factor unknown' },
  carrier_unmetered: { zh: '能源未计量', en: 'carrier unmetered' },
  facts_missing: { zh: '缺台账数据', en: 'facts missing' },
  unit_unfit: { zh: '台账单位不符', en: 'fact in another unit' },
  base_missing: { zh: '缺基期数据', en: 'base year missing' },
}

/** A flag in words; one that is new to the page as it came. */
export function flagText(lang: Lang, flag: string): string {
  return WORDS[flag]?.[lang] ?? flag
}
