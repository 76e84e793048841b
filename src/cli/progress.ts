// How far a long command is: a bar on a terminal, now and then a line elsewhere.
import { Presets, SingleBar } from 'cli-progress'
import type { Log } from './log.js'
import { counted } from './text.js'

const everyMs = 2_000

export class Progress {
  readonly #log: Log
  readonly #bytes: number | undefined
  readonly #bar: SingleBar | undefined
  #saidAt = performance.now()

  /** @param bytes of the whole, where that is known */
  constructor(log: Log, bytes: number | undefined) {
    this.#log = log
    this.#bytes = bytes
    if (!process.stderr.isTTY || !bytes) return
    const format = '{bar} {percentage}% · {messages} · {eta_formatted} left'
    this.#bar = new SingleBar({ stream: process.stderr, format, hideCursor: true }, Presets.shades_classic)
    this.#bar.start(bytes, 0, { messages: counted(0, 'message') })
  }

  show(messages: number, readBytes: number): void {
    const text = counted(messages, 'message')
    this.#bar?.update(readBytes, { messages: text })
    if (this.#bar !== undefined || performance.now() - this.#saidAt < everyMs) return
    this.#saidAt = performance.now()
    const part = this.#bytes ? `, ${Math.floor((100 * readBytes) / this.#bytes)}% of the file` : ''
    this.#log.info(`${text} sent${part} …`)
  }

  end(messages: number): void {
    this.stop()
    if (this.#bar === undefined) this.#log.info(`${counted(messages, 'message')} sent, and committed.`)
  }

  stop(): void {
    this.#bar?.stop()
  }
}
