import assert from 'node:assert/strict'
import { test } from 'node:test'
import { elsewhere, format, HOME, parse, SECTIONS, type Route } from '../src/core/route.ts'

function read(address: string): Route {
  const [path = '/', search = ''] = address.split('?')
  return parse(path, search)
}

test('every address reads back as it was written', () => {
  for (const address of [
    '/',
    '/p/gh-al',
    '/p/gh-al/u/gh-al.potline-1',
    '/p/gh-al/u/gh-al.potline-1?sites=all&range=92&lang=en&theme=dark',
    '/?span=day&order=deviation&only=abnormal&view=table',
    '/p/gh-al?unit=gh-al.potline-1&sites=all',
    '/p/gh-al/u/gh-al.potline-1?indicator=al.liquid.ac&period=year&at=2025&limit=cn.a_b.c',
    '/evidence/57beee7b-4b91-4c99-bf3d-837d0e870e89?lang=en',
    '/limits/cn-qh.al.ingot.ac_comprehensive.target-2020?find=21346&force=target',
    '/p/qh-fa/limits',
    '/p/qh-fa/quality?at=2026-10',
    '/p/qh-fa/checks/57beee7b-4b91-4c99-bf3d-837d0e870e89',
    '/agents?view=table&theme=dark',
  ]) {
    assert.equal(format(read(address)), address)
  }
})

test('what an address does not know falls back to its default', () => {
  assert.deepEqual(read('/nowhere/else?range=3&lang=xx&span=week&view=&theme=red'), HOME)
  assert.equal(read('/p/..%2f').site, null)
  assert.equal(read('/p/gh-al/u/<b>').unit, null)
})

test('a site in the path shows that site, the root shows every one', () => {
  assert.equal(read('/').every, true)
  assert.equal(read('/p/gh-al').every, false)
  assert.equal(read('/p/gh-al?sites=all').every, true)
})

test('every section has an address of its own, of a site and of all of them', () => {
  for (const section of SECTIONS) {
    assert.equal(read(`/${section}`).place, section)
    const one = read(`/p/gh-al/${section}`)
    assert.deepEqual([one.place, one.site, one.every], [section, 'gh-al', false])
  }
})

test('a unit in the path is its own page, a unit in the query is chosen in the overview', () => {
  assert.equal(read('/p/gh-al/u/gh-al.potline-1').place, 'unit')
  const chosen = read('/p/gh-al?unit=gh-al.potline-1')
  assert.deepEqual([chosen.place, chosen.unit], ['overview', 'gh-al.potline-1'])
})

test('a period that is none, a limit with markup and an empty search fall away', () => {
  const odd = read('/p/gh-al/u/gh-al.x?period=week&at=2026-1&limit=<b>&force=law&find=')
  assert.deepEqual([odd.period, odd.at, odd.limit, odd.force, odd.find], ['month', null, null, null, null])
})

test('another place keeps language, theme and table, and nothing else', () => {
  const from = read('/p/gh-al/u/gh-al.x?period=year&at=2025&limit=l&lang=en&theme=dark&view=table')
  assert.equal(format(elsewhere(from, { place: 'agents' })), '/agents?view=table&lang=en&theme=dark')
})
