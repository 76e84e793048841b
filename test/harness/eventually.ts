// Waits for what becomes true by itself. Tests never sleep for a time that is hoped to be enough.

export { eventually } from '../../src/postgres/eventually.js'
