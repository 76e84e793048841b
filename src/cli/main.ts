#!/usr/bin/env node
// The command `pgqrs`. Exit codes: 0 done, 1 failed, 2 misuse.
import { CommanderError } from 'commander'
import { hidePasswords } from '../words/shown.js'
import { reportFailure } from './failure.js'
import { program } from './program.js'

// Who reads our output may go away (`| head -1`): each write answers for itself, and notes are not worth an error.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

// A mistake of ours, too, is told in one line.
process.on('uncaughtException', (error) => {
  process.exitCode = reportFailure(error)
  process.exit()
})

// Whoever gave a DSN on the command line has shown it to everybody who lists the processes of this machine.
const words = process.argv.slice(2).join(' ')
if (hidePasswords(words) !== words) process.title = `pgqrs ${hidePasswords(words)}`

try {
  await program().parseAsync()
} catch (error) {
  // Help and the version leave commander as errors too.
  if (!(error instanceof CommanderError && error.exitCode === 0)) process.exitCode = reportFailure(error)
}
