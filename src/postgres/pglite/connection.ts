// One connection to a PGlite, as a server of PostgreSQL would treat it: says hello, collects messages, and runs them
// when it is its turn.
import type { Socket } from 'node:net'
import { type Session, type Turn, TurnTimeout } from './session.js'
import {
  type Complaint,
  complaint,
  idle,
  int32,
  message,
  query,
  split,
  sqlOf,
  textsOf,
  typeOf,
} from './wire.js'

/** The codes that stand for a version in a first message. */
const asked = { ssl: 80_877_103, gss: 80_877_104, cancel: 80_877_102 }
/** Messages after which the client waits for an answer: Query, Sync, Flush. */
const answered = new Set(['Q', 'S', 'H'])

/** It would end the process. Refused by the session itself, so that its transaction has failed. */
const noCopy = query(`do $$ begin
  raise exception using errcode = '0A000', message = 'COPY FROM STDIN does not work in PGlite',
    hint = 'Insert the rows, or test on a real server: testDatabase({ engine: "postgres" }).';
end $$`)
const password: Complaint = {
  severity: 'FATAL',
  sqlstate: '28P01',
  text: 'password authentication failed',
  hint: 'Connect with the DSN of the test database.',
}

export interface Hello {
  password: string
  /** What a server reports of itself: `server_version`, `DateStyle`, … */
  parameters: Record<string, string>
  /** Of the session behind it no client learns: it would take the names of its statements for its own. */
  processId: number
}

export class Connection implements Turn {
  readonly #socket: Socket
  readonly #session: Session
  readonly #hello: Hello
  #bytes: Buffer = Buffer.alloc(0)
  #state: 'new' | 'known' | 'admitted' = 'new'
  /** Messages that wait for one that asks for an answer. */
  #collected: Buffer[] = []
  /** What was refused is over with the next Sync. */
  #skipping = false
  #last: Promise<void> = Promise.resolve()

  constructor(socket: Socket, session: Session, hello: Hello) {
    this.#socket = socket
    this.#session = session
    this.#hello = hello
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', (data: Buffer) => this.#receive(data))
    socket.on('close', () => void this.#session.leave(this).catch(() => {}))
  }

  notified(notification: Buffer): void {
    this.#write(notification)
  }

  #receive(data: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? data : Buffer.concat([this.#bytes, data])
    while (this.#state === 'new') if (!this.#begin()) return
    const { messages, rest } = split(this.#bytes)
    this.#bytes = rest
    for (const one of messages) this.#take(one)
  }

  /** The first message has a length and no type. @returns whether it was there */
  #begin(): boolean {
    if (this.#bytes.length < 8 || this.#bytes.length < this.#bytes.readInt32BE(0)) return false
    const version = this.#bytes.readInt32BE(4)
    this.#bytes = this.#bytes.subarray(this.#bytes.readInt32BE(0))
    if (version === asked.ssl || version === asked.gss) this.#write(Buffer.from('N'))
    else if (version === asked.cancel) this.#socket.destroy()
    else {
      this.#state = 'known'
      this.#write(message('R', int32(3)))
    }
    return true
  }

  #take(one: Buffer): void {
    const type = typeOf(one)
    if (type === 'X') this.#socket.end()
    else if (this.#state === 'known') this.#admit(one)
    else {
      this.#collected.push(one)
      if (!answered.has(type)) return
      const batch = this.#collected
      this.#collected = []
      this.#last = this.#last
        .then(() => this.#run(batch))
        .catch(() => {
          this.#socket.destroy()
        })
    }
  }

  #admit(one: Buffer): void {
    if (typeOf(one) !== 'p' || textsOf(one, 1)[0] !== this.#hello.password) {
      this.#socket.end(complaint(password))
      return
    }
    this.#state = 'admitted'
    const parameters = Object.entries(this.#hello.parameters).map((pair) => message('S', ...pair))
    this.#write(
      Buffer.concat([
        message('R', int32(0)),
        ...parameters,
        message('K', int32(this.#hello.processId, 0)),
        idle,
      ]),
    )
  }

  async #run(batch: readonly Buffer[]): Promise<void> {
    if (this.#socket.destroyed) return
    const ends = typeOf(batch.at(-1) as Buffer)
    if (this.#skipping) {
      if (ends === 'H') return
      this.#skipping = false
      if (ends === 'S') return this.#write(idle)
    }
    const texts = batch.flatMap((one) => sqlOf(one) ?? [])
    if (texts.some((text) => /(^|;)\s*copy\s[^;]*\sfrom\s+stdin\b/i.test(text))) batch = [noCopy]
    const unlisten =
      ends === 'Q' ? /^\s*unlisten\s+("(?:[^"]|"")+"|\w+|\*)\s*;?\s*$/i.exec(texts[0] ?? '') : null
    if (unlisten !== null) {
      this.#session.unlisten(this, unlisten[1] === '*' ? undefined : channelOf(unlisten[1] as string))
      // The session goes on listening, for others.
      batch = [query('select where false')]
    }
    for (const text of texts)
      for (const [, channel] of text.matchAll(/(?:^|;)\s*listen\s+("(?:[^"]|"")+"|\w+)/gi))
        this.#session.listen(this, channelOf(channel as string))
    try {
      this.#write(await this.#session.run(this, Buffer.concat(batch)))
    } catch (error) {
      if (!(error instanceof TurnTimeout)) throw error
      this.#refuse(error.complaint, ends)
    }
  }

  #refuse(why: Complaint, ends: string): void {
    this.#write(ends === 'H' ? complaint(why) : Buffer.concat([complaint(why), idle]))
    this.#skipping = ends === 'H'
  }

  #write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }
}

/** As the server folds a name. */
function channelOf(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()
}
