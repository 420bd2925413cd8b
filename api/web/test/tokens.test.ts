import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { TOKENS } from '../src/core/palette.ts'

const css = readFileSync(new URL('../src/core/tokens.css', import.meta.url), 'utf8')
const found = new Map<string, [string, string]>()
for (const match of css.matchAll(/--([\w-]+): light-dark\((#\w+), (#\w+)\)/g)) {
  const [, name = '', light = '', dark = ''] = match
  found.set(name, [light, dark])
}

function luminance(colour: string): number {
  const part = (at: number): number => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x)
  return (high + 0.05) / (low + 0.05)
}

function check(ink: string, ground: string, least: number): void {
  for (const theme of [0, 1] as const) {
    const [a, b] = [found.get(ink)?.[theme], found.get(ground)?.[theme]]
    assert.ok(a && b, `${ink} or ${ground} is no token`)
    const ratio = contrast(a, b)
    const where = theme === 0 ? 'light' : 'dark'
    assert.ok(ratio >= least, `${ink} on ${ground}, ${where}: ${ratio.toFixed(2)} < ${least}`)
  }
}

test('every token a canvas reads is defined', () => {
  for (const token of TOKENS) assert.ok(found.has(token), token)
})

test('text has a contrast of at least 4.5', () => {
  for (const ground of ['panel', 'tile', 'bg', 'chosen']) check('ink', ground, 4.5)
  for (const ground of ['panel', 'tile', 'bg']) check('ink2', ground, 4.5)
  check('p1-text', 'p1', 4.5)
  check('p2-text', 'p2', 4.5)
  check('p3-text', 'p3', 4.5)
  check('p2-ink', 'panel', 4.5)
  check('p2-ink', 'tile', 4.5)
  check('panel', 'ink', 4.5)
})

test('marks that carry meaning have a contrast of at least 3', () => {
  for (const mark of ['p1', 'p2', 'p3-edge', 'focus']) check(mark, 'tile', 3)
  check('bar', 'track', 3)
  check('bar-near', 'track', 3)
  check('focus', 'panel', 3)
  check('spark', 'tile', 3)
})
