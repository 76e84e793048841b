// `pgqrs/testing`: for the tests of programs that use pgqrs. Works with every test runner.
export { type EnqueuedMessage, type Expected, enqueued, expectEnqueued } from './assertions.js'
export { type Clock, clockOf } from './clock.js'
export { type TestDatabase, type TestDatabaseOptions, testDatabase } from './database.js'
export { type Drained, type DrainedQueue, type DrainOptions, drain, type Outcome } from './drain.js'
export type { Engine } from './engine.js'
export { type TestServer, testServer } from './server.js'
