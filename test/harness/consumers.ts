// Consumers in processes of their own (see programs/consumer.ts), and how a test talks with them.

import type { ConsumerOrder, ConsumerProgram, ConsumerSays, Settling } from '../programs/consumer.js'
import type { Delivery } from './ledger.js'
import { startProcess, type TestProcess } from './processes.js'

export class ConsumerProcess {
  readonly process: TestProcess<ConsumerSays>

  private constructor(process: TestProcess<ConsumerSays>) {
    this.process = process
  }

  static async start({ dsn, queue, name }: ConsumerProgram): Promise<ConsumerProcess> {
    const args = [JSON.stringify({ dsn, queue, name })]
    const started = startProcess<ConsumerSays>('../programs/consumer.ts', import.meta.url, { args })
    await started.next((said) => 'ready' in said)
    return new ConsumerProcess(started)
  }

  static startMany(count: number, program: ConsumerProgram): Promise<ConsumerProcess[]> {
    const start = (_: unknown, n: number) => ConsumerProcess.start({ ...program, name: `consumer ${n + 1}` })
    return Promise.all(Array.from({ length: count }, start))
  }

  async claim(count: number, lease: number): Promise<(Delivery & { leasedUntil: Date })[]> {
    this.tell({ do: 'claim', count, lease })
    const said = await this.process.next((what) => 'claimed' in what)
    const { claimed } = said as Extract<ConsumerSays, { claimed: unknown }>
    return claimed.map((message) => ({ ...message, leasedUntil: new Date(message.leasedUntil) }))
  }

  /** What came of each, or the error. */
  async settle(how: Settling, held: Delivery[], each = false) {
    this.tell({ do: 'settle', how, held, each })
    const said = await this.process.next((what) => 'settled' in what || 'error' in what)
    return said as Extract<ConsumerSays, { settled: boolean[] } | { error: string }>
  }

  /** Ends a drain. @returns what it took, and what of it was settled */
  async stop(): Promise<{ deliveries: Delivery[]; accepted: string[] }> {
    this.tell({ do: 'stop' })
    await this.process.next((what) => 'stopped' in what)
    const taken = this.process.said.filter((what) => 'took' in what)
    return {
      deliveries: taken.flatMap(({ took }) => took),
      accepted: taken.flatMap(({ took, settled }) => took.filter((_, i) => settled[i]).map(({ id }) => id)),
    }
  }

  tell(order: ConsumerOrder): void {
    this.process.tell(order)
  }
}
