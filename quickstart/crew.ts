// The consumer processes: started together, one of them killed on the way, all of them gone at the end.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Order, Report } from './hashing.js'

const program = fileURLToPath(new URL('./consumer.ts', import.meta.url))
const project = fileURLToPath(new URL('..', import.meta.url))

export class Member {
  readonly #child: ChildProcess
  readonly #reports: Report[] = []
  readonly exited: Promise<unknown>
  /** Set when it ended though nobody wanted it to. */
  failure: Error | undefined
  #mayEnd = false

  constructor(node: string, folder: string, env: NodeJS.ProcessEnv) {
    this.#child = spawn(node, ['--import', 'tsx', program, folder], {
      cwd: project,
      env,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let written = ''
    this.#child.stderr?.on('data', (chunk) => {
      written = (written + chunk).slice(-4_000)
    })
    this.#child.on('message', (report: Report) => this.#reports.push(report))
    this.exited = once(this.#child, 'close').then(
      ([code, signal]) => {
        if (!this.#mayEnd)
          this.failure = new Error(`A consumer ended (${signal ?? code}).\n${written}`.trim())
      },
      (error: Error) => {
        this.failure = error
      },
    )
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get ready(): boolean {
    return this.#reports.some((report) => 'ready' in report)
  }

  /** How many messages it said that it stands still with. */
  get holding(): number {
    return this.#reports.reduce((most, report) => ('holding' in report ? report.holding : most), 0)
  }

  tell(order: Order): void {
    if (order === 'end') this.#mayEnd = true
    if (this.#child.connected) this.#child.send(order, () => {})
  }

  async kill(): Promise<void> {
    this.#mayEnd = true
    this.#child.kill('SIGKILL')
    await this.exited
  }
}
