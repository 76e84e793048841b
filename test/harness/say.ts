// The child's side of processes.ts.

export { say, told } from '../../src/chaos/programs/say.js'
