// The PostgreSQL that comes along: the real server, from an npm package, without Docker. Knows nothing of queues.

export { type FindBinariesOptions, findBinaries, type PostgresBinaries } from './binaries.js'
export { type CopiedDatabase, copyDatabase, makeTemplate, type Template } from './databases.js'
export { type FoundServer, findServer } from './folder.js'
export { pgliteVersion } from './pglite/engine.js'
export { type PgliteDatabase, pgliteDatabase } from './pglite/pglite.js'
export { type Preparation, preparedServer } from './prepared.js'
export type { StopMode } from './process.js'
export { type LocalServer, type LocalServerOptions, startServer } from './server.js'
export { temporaryServer } from './temporary.js'
