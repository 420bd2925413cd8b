import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { toCsv } from '../src/chart/csv.ts'
import { CATALOGUES, say, sayWord, SUBJECTS, type Key } from '../src/core/catalogue.ts'
import { inputsText } from '../src/core/inputs.ts'
import type { Words } from '../src/core/words/both.ts'
import { choose, duration, nameOf } from '../src/core/locale.ts'

const keys = Object.keys(CATALOGUES.zh) as Key[]

async function everySubject(): Promise<[string, Words<string>][]> {
  const folder = new URL('../src/core/words/', import.meta.url)
  const out: [string, Words<string>][] = []
  for (const file of readdirSync(folder)) {
    const held = (await import(new URL(file, folder).href)) as Record<string, unknown>
    for (const [name, value] of Object.entries(held)) {
      if (name === name.toUpperCase()) out.push([`${file} ${name}`, value as Words<string>])
    }
  }
  return out
}

test('both languages say everything, with the same places to fill', async () => {
  const places = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? '')
  const subjects = await everySubject()
  assert.ok(subjects.length >= SUBJECTS.length + 4)
  for (const [name, { zh, en }] of subjects) {
    assert.deepEqual(Object.keys(en).sort(), Object.keys(zh).sort(), name)
    for (const key of Object.keys(zh)) {
      assert.ok(zh[key]?.trim() && en[key]?.trim(), `${name} ${key}`)
      assert.deepEqual(places(en[key] ?? '').sort(), places(zh[key] ?? '').sort(), `${name} ${key}`)
    }
  }
})

test('no word of the catalogue is said by two subjects', () => {
  const all = SUBJECTS.flatMap((subject) => Object.keys(subject.zh))
  assert.deepEqual(all.filter((key, at) => all.indexOf(key) !== at), [])
  assert.deepEqual([...all].sort(), [...keys].sort())
})

test('the verdicts carry their agreed words', () => {
  const words = ['within', 'exceeds', 'indeterminate', 'incomplete', 'not_applicable']
  assert.deepEqual(
    words.map((word) => sayWord('zh', word)),
    ['达标', '超限', '不确定', '数据不全', '不适用'],
  )
})

test('a word that is new to the page is shown as it came', () => {
  assert.equal(sayWord('en', 'brand_new'), 'brand_new')
})

test('inputs that are not declared are named in words, new ones as they came', () => {
  assert.equal(inputsText('zh', ['ore_grade', 'cr_fe_ratio']), '矿石品位、铬铁比')
  assert.equal(inputsText('en', ['ore_grade', 'brand_new']), 'ore grade, brand_new')
})

test('the language comes from the address, then memory, then the browser, then Chinese', () => {
  assert.equal(choose('en', 'zh', ['zh-CN']), 'en')
  assert.equal(choose(null, 'en', ['zh-CN']), 'en')
  assert.equal(choose(null, null, ['fr', 'en-GB']), 'en')
  assert.equal(choose(null, 'xx', []), 'zh')
  assert.equal(choose(null, null, undefined), 'zh')
})

test('a name missing in one language falls back to the other, marked', () => {
  assert.deepEqual(nameOf({ zh: '窑' }, 'en', 'id'), { text: '窑', lang: 'zh-CN' })
  assert.deepEqual(nameOf(undefined, 'en', 'id'), { text: 'id', lang: undefined })
})

test('durations read in both languages', () => {
  assert.equal(duration(4_500, 'en'), '1 h 15 m')
  assert.equal(duration(4_500, 'zh'), '1 时 15 分')
  assert.equal(duration(-3, 'en'), '0 s')
  assert.equal(say('en', 'ago', { age: '8 s' }), '8 s ago')
})

test('a file of figures is safe for a spreadsheet and keeps negative numbers', () => {
  const text = toCsv(['a'], [['=1+1'], ['-1.5'], ['-x'], [null], ['a,b']])
  assert.equal(text, '\uFEFFa\r\n\'=1+1\r\n-1.5\r\n\'-x\r\n\r\n"a,b"\r\n')
})

test('no colour stands outside the tokens', () => {
  for (const file of ['src/core/base.css']) {
    assert.doesNotMatch(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8'), /#[0-9a-f]{3,8}\b/i)
  }
})
