// The processes of a run: producers, workers, consumers by hand. Each has a name that stays when it is replaced.

import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { machineTime } from './history.js'
import { type RunningProcess, startProcess } from './process.js'
import type { ProgramOrder, ProgramSays, ProgramSettings } from './programs/program.js'

export type Role = 'producer' | 'worker' | 'consumer'

export interface CrewSettings
  extends Omit<ProgramSettings, 'name' | 'run' | 'dsn' | 'ordered' | 'application'> {
  clientDsn: string
  pooledDsn: string
  /** Of all its connections, by which they are known on the server. */
  application: string
  /** Workers whose machine has another clock. Undefined where nobody asks for it. */
  clocks: string | undefined
  /** On top of this process's environment. */
  environment: Readonly<Record<string, string>>
}

interface Member {
  readonly name: string
  readonly role: Role
  readonly pooled: boolean
  child: RunningProcess<ProgramSays>
  run: number
  /** What its leases are held by. */
  holders: readonly string[]
  /** Busy with a fault: no other is to strike it. */
  struck: boolean
}

/** An end of a process that nobody asked for. */
export interface UnexpectedEnd {
  program: string
  run: number
  at: number
  why: string
}

/** After which a process that has ended by itself is followed by another. */
const restartMs = 1_000

const file = (role: Role) =>
  new URL(`./programs/${role}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

export class Crew {
  readonly unexpected: UnexpectedEnd[] = []
  readonly #settings: CrewSettings
  readonly #members = new Map<string, Member>()
  #over = false
  readonly #ending = new WeakSet<RunningProcess<ProgramSays>>()

  constructor(settings: CrewSettings) {
    this.#settings = settings
  }

  get names(): string[] {
    return [...this.#members.keys()]
  }

  /** @param pooled goes through the pooler, where there is one */
  async add(role: Role, n: number, pooled: boolean): Promise<void> {
    const name = `${role} ${n}`
    const first = this.#start(name, role, pooled, 1)
    const member: Member = { name, role, pooled, child: first, run: 1, holders: [], struck: false }
    this.#members.set(name, member)
    const said = await first.next((what) => 'ready' in what)
    member.holders = 'ready' in said ? said.ready : []
  }

  member(name: string): Readonly<Pick<Member, 'name' | 'role' | 'holders' | 'run'>> {
    return this.#member(name)
  }

  /** Marks it as struck for the time of `work`; false where it is already. */
  async alone(name: string, work: () => Promise<void>): Promise<boolean> {
    const member = this.#member(name)
    if (member.struck) return false
    member.struck = true
    try {
      await work()
    } finally {
      member.struck = false
    }
    return true
  }

  kill(name: string): void {
    const { child } = this.#member(name)
    this.#ending.add(child)
    child.kill('SIGKILL')
  }

  pause(name: string): void {
    this.#member(name).child.pause()
  }

  resume(name: string): void {
    this.#member(name).child.resume()
  }

  /** Another process under that name. Resolves when it is at work. */
  async replace(name: string): Promise<void> {
    const member = this.#member(name)
    await member.child.end
    member.run += 1
    member.child = this.#start(name, member.role, member.pooled, member.run)
    const said = await member.child.next((what) => 'ready' in what)
    member.holders = 'ready' in said ? said.ready : []
  }

  /** Takes all the connections of its pool for that time. @returns how many it had */
  async exhaust(name: string, forMs: number): Promise<number> {
    const { child } = this.#member(name)
    child.tell({ exhaust: forMs } satisfies ProgramOrder)
    const said = await child.next((what) => 'exhausted' in what)
    return 'exhausted' in said ? said.exhausted : 0
  }

  /** Sets the clock of its machine so many hours ahead, while it runs. */
  setClock(name: string, hours: number): void {
    writeFileSync(this.#clockOf(name), `${hours >= 0 ? '+' : ''}${hours}h\n`)
  }

  /** Ends those of a role in an orderly way. */
  async stop(role: Role): Promise<void> {
    this.#over = true
    const members = [...this.#members.values()].filter((member) => member.role === role)
    await Promise.all(
      members.map(async ({ child }) => {
        this.#ending.add(child)
        child.tell({ stop: true } satisfies ProgramOrder)
        await child.exited().catch(() => child.kill('SIGKILL'))
      }),
    )
  }

  async killAll(): Promise<void> {
    this.#over = true
    for (const { child } of this.#members.values()) {
      this.#ending.add(child)
      child.kill('SIGKILL')
    }
    await Promise.all([...this.#members.values()].map(({ child }) => child.end.catch(() => {})))
  }

  #member(name: string): Member {
    const member = this.#members.get(name)
    if (member === undefined) throw new Error(`There is no ${name} in this run.`)
    return member
  }

  #start(name: string, role: Role, pooled: boolean, run: number): RunningProcess<ProgramSays> {
    const { clientDsn, pooledDsn, clocks, environment, application, ...common } = this.#settings
    const settings: ProgramSettings = {
      ...common,
      name,
      run,
      dsn: pooled ? pooledDsn : clientDsn,
      application: `${application} ${name}`,
      ordered: name === 'producer 1' || name === 'consumer 1',
    }
    const clock = clocks !== undefined && role === 'worker' ? this.#clockEnvironment(name, clocks) : {}
    const child = startProcess<ProgramSays>(file(role), {
      env: { ...environment, ...clock },
      timeoutMs: 60_000,
    })
    child.tell(settings)
    child.end.then(
      ({ code, signal }) => {
        if (this.#ending.has(child)) return
        const why = `${signal ?? `exit code ${code}`}: ${child.stderr().trim().slice(-600)}`
        this.unexpected.push({ program: name, run, at: machineTime(), why })
        this.#supervise(name)
      },
      (error) => this.unexpected.push({ program: name, run, at: machineTime(), why: String(error) }),
    )
    return child
  }

  /** Another process after a moment, as whoever looks after processes does it. */
  #supervise(name: string): void {
    const again = async () => {
      // Not while a fault has it in its hands, and not when the run is over.
      if (!this.#over && this.#members.has(name)) await this.alone(name, () => this.replace(name))
    }
    setTimeout(() => again().catch(() => {}), restartMs).unref()
  }

  #clockOf(name: string): string {
    return join(this.#settings.history, `${name.replaceAll(' ', '-')}.clock`)
  }

  /** Wall clocks alone: what a machine with a wrong date has, too, is a monotonic clock. */
  #clockEnvironment(name: string, library: string): Record<string, string> {
    if (!existsSync(this.#clockOf(name))) writeFileSync(this.#clockOf(name), '+0\n')
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#clockOf(name),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  }
}

/** The library that gives a program another clock, where it is installed. */
export function findFaketime(): string | undefined {
  const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/lib']
  const inside = (folder: string) =>
    existsSync(folder)
      ? readdirSync(folder, { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && /linux-gnu|faketime/.test(entry.name))
          .map((entry) => join(folder, entry.name))
      : []
  const places = folders.flatMap(inside).flatMap((folder) => [folder, join(folder, 'faketime')])
  return places.map((place) => join(place, 'libfaketime.so.1')).find((path) => existsSync(path))
}
