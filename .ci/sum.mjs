// Sums up what .ci/run noted in a folder: NAME.status (an exit code, or "skipped: why") for each step, and
// NAME.json, vitest's report, where the step ran tests. Ends with the one line that says it all.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2]
const total = { passed: 0, failed: 0, skipped: 0 }
console.log()
const finishedAt = (file) => statSync(join(folder, file)).mtimeMs
const steps = readdirSync(folder).filter((name) => name.endsWith('.status'))
for (const file of steps.sort((a, b) => finishedAt(a) - finishedAt(b))) {
  const name = file.slice(0, -'.status'.length)
  const status = readFileSync(join(folder, file), 'utf8').trim()
  const tests = testsOf(join(folder, `${name}.json`))
  // A step without tests counts when it fails; so does a test run that broke without a failed test.
  if (status.startsWith('skipped')) tests.skipped += 1
  else if (status !== '0' && tests.failed === 0) tests.failed = 1
  for (const key of Object.keys(total)) total[key] += tests[key]
  const counted = tests.passed > 0 ? `${tests.passed} tests passed, ${tests.skipped} skipped` : 'passed'
  const said = status.startsWith('skipped') ? status : counted
  console.log(`${name.padEnd(12)} ${tests.failed > 0 ? `FAILED (${tests.failed})` : said}`)
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

function testsOf(report) {
  if (!existsSync(report)) return { passed: 0, failed: 0, skipped: 0 }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
    readFileSync(report, 'utf8'),
  )
  return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests }
}
